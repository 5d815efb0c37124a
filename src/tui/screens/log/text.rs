//! The text of a log as received, within bounds, and its rows on the screen. The oldest lines are dropped first.

use crate::text::printable;
use crate::tui::text;
use jiff::Timestamp;
use std::borrow::Cow;
use std::collections::VecDeque;
use std::ops::Range;
use unicode_width::UnicodeWidthChar;

/// Longest text in memory, in bytes.
const MAX_BYTES: usize = 16 * 1024 * 1024;
/// Number of lines in memory.
const MAX_LINES: usize = 200_000;
/// Longest line in bytes. The rest continues on the next line, so that no line delays a frame.
const MAX_LINE_LEN: usize = 16 * 1024;

/// The text of a log. Lines are numbered from 0; a number does not change if older lines are dropped.
#[derive(Debug, Default)]
pub struct LogText {
    /// Complete lines with their line breaks.
    lines: VecDeque<Box<str>>,
    /// The unfinished last line.
    open: String,
    first: u64,
    bytes: usize,
    /// Arrival times, each from this line on; `None` for stored lines.
    times: VecDeque<(u64, Option<Timestamp>)>,
    received: u64,
}

impl LogText {
    /// Appends a piece that starts at byte `offset` of the log. The part that is known already is skipped; a piece that
    /// would leave a gap is ignored. Text after the first `stored_len` bytes is live and gets the arrival time `now`.
    pub(in crate::tui) fn take(&mut self, offset: u64, text: &str, stored_len: Option<u64>, now: Timestamp) {
        let Some(known) = self.received.checked_sub(offset) else { return };
        let known = usize::try_from(known).unwrap_or(usize::MAX).min(text.len());
        let new = &text[text.ceil_char_boundary(known)..];
        let old = stored_len.map_or(u64::MAX, |stored_len| stored_len.saturating_sub(self.received));
        let old = usize::try_from(old).unwrap_or(usize::MAX).min(new.len());
        let (old, live) = new.split_at(new.ceil_char_boundary(old));
        self.append(old, None);
        self.append(live, Some(now));
        self.received += (text.len() - known) as u64;
    }

    /// Appends lines that are not part of the log, after its end.
    pub(in crate::tui) fn append_diagnostics(&mut self, lines: &str) {
        let end = if self.open.is_empty() { "" } else { "\n" };
        self.append(&format!("{end}{lines}\n"), None);
    }

    fn append(&mut self, text: &str, at: Option<Timestamp>) {
        for mut rest in text.split_inclusive('\n') {
            self.bytes += rest.len();
            while !rest.is_empty() {
                if self.open.is_empty() {
                    self.begin(at);
                }
                let available = MAX_LINE_LEN.saturating_sub(self.open.len());
                let fits = rest.trim_end_matches('\n').len() <= available;
                let (now, later) =
                    if fits { (rest, "") } else { rest.split_at(rest.floor_char_boundary(available)) };
                self.open.push_str(now);
                rest = later;
                if !fits || self.open.ends_with('\n') {
                    self.lines.push_back(std::mem::take(&mut self.open).into_boxed_str());
                }
            }
        }
        while (self.lines.len() > MAX_LINES || self.bytes > MAX_BYTES)
            && let Some(dropped) = self.lines.pop_front()
        {
            self.first += 1;
            self.bytes -= dropped.len();
        }
        while self.times.get(1).is_some_and(|(from, _)| *from <= self.first) {
            self.times.pop_front();
        }
    }

    fn begin(&mut self, at: Option<Timestamp>) {
        if self.times.back().is_none_or(|(_, before)| *before != at) {
            self.times.push_back((self.closed(), at));
        }
    }

    /// Number of received bytes of the log.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Number of the oldest line in memory, which is also the number of dropped lines.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// Number of the line after the last complete one.
    pub(in crate::tui) fn closed(&self) -> u64 {
        self.first + self.lines.len() as u64
    }

    /// Number of the line after the last one.
    pub fn end(&self) -> u64 {
        self.closed() + u64::from(!self.open.is_empty())
    }

    /// Whether nothing was received yet.
    pub fn is_empty(&self) -> bool {
        self.end() == 0
    }

    /// A line without control characters and line break; empty if it is not in memory.
    pub fn line(&self, number: u64) -> Cow<'_, str> {
        let at = number.checked_sub(self.first).and_then(|at| usize::try_from(at).ok());
        let closed = at.and_then(|at| self.lines.get(at));
        let open = if number == self.closed() { self.open.as_str() } else { "" };
        let line = closed.map_or(open, AsRef::as_ref);
        let line = line.strip_suffix('\n').unwrap_or(line);
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.bytes().all(is_one_column) { line.into() } else { printable(line).into() }
    }

    /// Arrival time of a line; `None` for a stored line.
    pub fn time(&self, number: u64) -> Option<Timestamp> {
        let after = self.times.partition_point(|(from, _)| *from <= number);
        self.times.get(after.checked_sub(1)?)?.1
    }

    /// All lines in memory, as received.
    pub fn whole(&self) -> String {
        let mut whole = String::with_capacity(self.bytes);
        self.lines.iter().for_each(|line| whole.push_str(line));
        whole + &self.open
    }
}

/// Start of a row within its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tui) struct WrappedRow {
    /// Offset in bytes.
    pub(in crate::tui) byte: usize,
    /// Offset in columns.
    pub(in crate::tui) column: usize,
}

/// Whether a byte is a character that is one column wide.
fn is_one_column(byte: u8) -> bool {
    matches!(byte, b' '..=b'~')
}

/// Start and width of each character, together with the zero-width characters after it.
fn clusters(line: &str) -> impl Iterator<Item = (usize, usize)> {
    let mut chars = line.char_indices().peekable();
    std::iter::from_fn(move || {
        let (start, first) = chars.next()?;
        let alone = start + first.len_utf8();
        let mut end = alone;
        while let Some((at, c)) = chars.next_if(|(_, c)| c.width() == Some(0)) {
            end = at + c.len_utf8();
        }
        // A following variation selector can make a character wider.
        let columns = if end == alone { first.width().unwrap_or(0) } else { text::width(&line[start..end]) };
        Some((start, columns))
    })
}

/// The rows of a line that is wrapped at `columns`; at least one.
pub(in crate::tui) fn wrapped(line: &str, columns: usize) -> Vec<WrappedRow> {
    if columns > 0 && line.bytes().all(is_one_column) {
        let starts = (0..line.len().max(1)).step_by(columns);
        return starts.map(|start| WrappedRow { byte: start, column: start }).collect();
    }
    let mut rows = vec![WrappedRow { byte: 0, column: 0 }];
    let (mut row_start, mut column) = (0, 0);
    for (byte, wide) in clusters(line) {
        if column + wide > row_start + columns && column > row_start {
            rows.push(WrappedRow { byte, column });
            row_start = column;
        }
        column += wide;
    }
    rows
}

/// The part of a line that is visible from column `left` on: leading spaces, if a wide character is cut in half,
/// and a byte range that reaches just past `columns`.
pub(in crate::tui) fn window(line: &str, left: usize, columns: usize) -> (usize, Range<usize>) {
    if line.bytes().all(is_one_column) {
        let start = left.min(line.len());
        return (0, start..(left + columns + 1).min(line.len()).max(start));
    }
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
