//! Fits text into a number of columns.

use std::borrow::Cow;
use textwrap::{Options, WordSplitter};
use tui_input::Input;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Width of a text in columns.
pub(super) fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// The text for a terminal that supports only ASCII.
pub(super) fn ascii(text: &str) -> String {
    let shown = |c: char| match c {
        c if c.is_ascii() => Some(c),
        '…' => Some('~'),
        '×' => Some('x'),
        c => c.width().filter(|width| *width > 0).map(|_| '?'),
    };
    text.chars().filter_map(shown).collect()
}

/// The text in at most `columns`; if it is too long, a mark replaces its end.
pub(super) fn fit(text: &str, columns: usize, mark: char) -> String {
    if width(text) <= columns { text.to_owned() } else { cut(text, columns, mark) }
}

/// The start of a text and a mark, in at most `columns`.
pub(super) fn cut(text: &str, columns: usize, mark: char) -> String {
    let mut used = 0;
    let fits = |c: &char| {
        used += c.width().unwrap_or(0);
        used < columns
    };
    text.chars().take_while(fits).chain((columns > 0).then_some(mark)).collect()
}

/// The visible part of a text field with `columns`, and the column of its cursor.
pub(super) fn window(input: &Input, columns: usize) -> (String, usize) {
    let skipped = input.visual_scroll(columns.saturating_sub(1));
    let mut before = 0;
    let is_scrolled_out = |c: &char| {
        let is_out = before < skipped;
        before += c.width().unwrap_or(0);
        is_out
    };
    let shown: String = input.value().chars().skip_while(is_scrolled_out).collect();
    let mut used = 0;
    let fits = |c: &char| {
        used += c.width().unwrap_or(0);
        used <= columns
    };
    (shown.chars().take_while(fits).collect(), input.visual_cursor().saturating_sub(skipped))
}

/// The text in lines of at most `columns`, broken at spaces if possible.
pub(super) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let options = Options::new(columns.max(1)).word_splitter(WordSplitter::NoHyphenation);
    text.lines().flat_map(|line| textwrap::wrap(line, &options)).map(Cow::into_owned).collect()
}
