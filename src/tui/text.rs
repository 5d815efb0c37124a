//! Text that must fit.

use tui_input::Input;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The columns that a text takes.
pub(super) fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// The text for a terminal that knows ASCII alone.
pub(super) fn ascii(text: &str) -> String {
    let shown = |c: char| match c {
        c if c.is_ascii() => Some(c),
        '…' => Some('~'),
        '×' => Some('x'),
        c => c.width().filter(|width| *width > 0).map(|_| '?'),
    };
    text.chars().filter_map(shown).collect()
}

/// The text in at most `columns`; where it is too long its end is replaced by `cut`.
pub(super) fn fit(text: &str, columns: usize, cut: char) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        let wide = c.width().unwrap_or(0);
        if used + wide + 1 > columns {
            break;
        }
        out.push(c);
        used += wide;
    }
    if columns > 0 {
        out.push(cut);
    }
    out
}

/// What of a text field fits into `columns`, with the place where one types; and the column of that place.
pub(super) fn window(input: &Input, columns: usize) -> (String, usize) {
    let skipped = input.visual_scroll(columns.saturating_sub(1));
    let mut before = 0;
    let begun = |c: &char| {
        let gone = before < skipped;
        before += c.width().unwrap_or(0);
        gone
    };
    let shown: String = input.value().chars().skip_while(begun).collect();
    let mut used = 0;
    let fits = |c: &char| {
        used += c.width().unwrap_or(0);
        used <= columns
    };
    (shown.chars().take_while(fits).collect(), input.visual_cursor().saturating_sub(skipped))
}

/// The text in lines of at most `columns`, broken at blanks where there are some.
pub(super) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split(' ') {
            if !line.is_empty() && width(&line) + 1 + width(word) > columns {
                lines.push(std::mem::take(&mut line));
            } else if !line.is_empty() {
                line.push(' ');
            }
            for c in word.chars() {
                if width(&line) + c.width().unwrap_or(0) > columns {
                    lines.push(std::mem::take(&mut line));
                }
                line.push(c);
            }
        }
        lines.push(line);
    }
    lines
}
