//! A line of text in rows of the screen, by the columns that its characters take.

use crate::tui::text;
use std::ops::Range;
use unicode_width::UnicodeWidthChar;

/// Where a row begins in its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tui) struct Row {
    /// In bytes.
    pub(in crate::tui) byte: usize,
    /// In columns.
    pub(in crate::tui) column: usize,
}

/// Each character, together with those after it that take no column of their own: where it begins, and its columns.
fn clusters(line: &str) -> impl Iterator<Item = (usize, usize)> {
    let mut chars = line.char_indices().peekable();
    std::iter::from_fn(move || {
        let (start, first) = chars.next()?;
        let alone = start + first.len_utf8();
        let mut end = alone;
        while let Some((at, c)) = chars.next_if(|(_, c)| c.width() == Some(0)) {
            end = at + c.len_utf8();
        }
        // What follows may make it wider: a sign becomes a picture.
        let columns = if end == alone { first.width().unwrap_or(0) } else { text::width(&line[start..end]) };
        Some((start, columns))
    })
}

/// The rows of a line that is wrapped at so many columns; at least one.
pub(in crate::tui) fn wrapped(line: &str, columns: usize) -> Vec<Row> {
    let mut rows = vec![Row { byte: 0, column: 0 }];
    let (mut begun, mut column) = (0, 0);
    for (byte, wide) in clusters(line) {
        if column + wide > begun + columns && column > begun {
            rows.push(Row { byte, column });
            begun = column;
        }
        column += wide;
    }
    rows
}

/// The part of a line from this column on that reaches just over so many columns: the blanks before it, where a wide
/// character is cut in two, and its bytes.
pub(in crate::tui) fn window(line: &str, left: usize, columns: usize) -> (usize, Range<usize>) {
    let (mut start, mut end, mut column) = (None, line.len(), 0);
    for (byte, wide) in clusters(line) {
        if start.is_none() && column >= left {
            start = Some((column - left, byte));
        }
        if column > left + columns {
            end = byte;
            break;
        }
        column += wide;
    }
    let (blanks, start) = start.unwrap_or((0, line.len()));
    (blanks, start..end.max(start))
}
