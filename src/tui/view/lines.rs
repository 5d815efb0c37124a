//! Lines of styled text that fit into a number of columns.

use crate::tui::{Theme, Tone, text};
use ratatui::text::{Line, Span};

/// Space between two spans that are wrapped as a whole.
const GAP: &str = "  ";

/// The line, or its start with a mark: ratatui cuts what does not fit without one.
pub(super) fn fit(line: Line<'static>, columns: usize, theme: &Theme) -> Line<'static> {
    if line.width() <= columns {
        return line;
    }
    let cut = theme.symbols().cut;
    let mut left = columns;
    let mut shown = Line { spans: Vec::new(), ..line };
    for span in line.spans {
        let width = span.width();
        if width < left {
            left -= width;
            shown.push_span(span);
        } else if left > 0 {
            shown.push_span(Span::styled(text::cut(&span.content, left, cut), span.style));
            break;
        }
    }
    shown
}

/// Both lines in one; the sum of two lines would be a text.
pub(super) fn joined(
    start: impl Into<Line<'static>>,
    end: impl IntoIterator<Item = Span<'static>>,
) -> Line<'static> {
    let mut line = start.into();
    line.extend(end);
    line
}

/// The text in lines of at most `columns`.
pub(super) fn wrapped(theme: &Theme, tone: Tone, text: &str, columns: usize) -> Vec<Line<'static>> {
    wrapped_span(&theme.span(tone, text.to_owned()), columns)
}

/// The span in lines of at most `columns`. `Paragraph` wraps while it draws, but the number of lines must be known
/// before that.
pub(super) fn wrapped_span(span: &Span<'static>, columns: usize) -> Vec<Line<'static>> {
    let lines = text::wrap(&span.content, columns).into_iter();
    lines.map(|line| Span::styled(line, span.style).into()).collect()
}

/// Lines of at most `columns`, never broken inside a span; a span that is wider gets a line to itself. `Paragraph`
/// would break at every space.
pub(super) fn wrapped_spans(
    spans: impl IntoIterator<Item = Span<'static>>,
    columns: usize,
) -> Vec<Line<'static>> {
    let mut lines: Vec<Line<'static>> = Vec::new();
    for span in spans {
        match lines.last_mut().filter(|line| line.width() + GAP.len() + span.width() <= columns) {
            Some(line) => line.extend([Span::raw(GAP), span]),
            None => lines.push(span.into()),
        }
    }
    lines
}

/// A number with its symbol and meaning.
pub(super) type Count<'a> = (&'static str, usize, &'a str, Tone);

/// `✓ 5 done  ✗ 7 failed`: the counts that are not zero, the first `words` of them with their meaning.
pub(super) fn counts(theme: &Theme, counts: &[Count<'_>], gap: &'static str, words: usize) -> Line<'static> {
    let mut line = Line::default();
    for (at, (symbol, count, word, tone)) in counts.iter().filter(|(_, count, ..)| *count > 0).enumerate() {
        let label = if at < words { format!(" {count} {word}") } else { format!(" {count}") };
        let gap = if at == 0 { "" } else { gap };
        // A failure is coloured as a whole, and what matters least is dim.
        let label_tone = if matches!(tone, Tone::Bad | Tone::Dim) { *tone } else { Tone::Plain };
        line.extend([Span::raw(gap), theme.span(*tone, *symbol), theme.span(label_tone, label)]);
    }
    line
}
