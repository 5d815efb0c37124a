//! The text of a log as it came, within bounds: where there is too much of it the oldest lines go.

use crate::protocol::printable;
use jiff::Timestamp;
use std::borrow::Cow;
use std::collections::VecDeque;

/// How much text is kept, in bytes.
const MOST: usize = 16 * 1024 * 1024;
/// How many lines are kept.
const LINES: usize = 200_000;
/// The longest line, in bytes. What is longer goes on in the next, so that no line holds up a frame.
const LONGEST: usize = 16 * 1024;

/// The text of a log. Its lines are numbered from 0 and keep their number when older ones go.
#[derive(Debug, Default)]
pub struct LogText {
    /// Each with its end.
    lines: VecDeque<Box<str>>,
    /// The line that has no end yet.
    open: String,
    first: u64,
    bytes: usize,
    /// When the lines from this number on came; `None` for those that were there before.
    times: VecDeque<(u64, Option<Timestamp>)>,
    received: u64,
}

impl LogText {
    /// Takes a piece that begins at this byte of the log. Of a piece that overlaps what is there the rest is taken; one
    /// that would leave a gap is none of ours. What lies behind the first `kept` bytes came now.
    pub(in crate::tui) fn take(&mut self, offset: u64, text: &str, kept: Option<u64>, now: Timestamp) {
        let Some(known) = self.received.checked_sub(offset) else { return };
        let known = usize::try_from(known).unwrap_or(usize::MAX).min(text.len());
        let new = &text[text.ceil_char_boundary(known)..];
        let old = kept.map_or(u64::MAX, |kept| kept.saturating_sub(self.received));
        let old = usize::try_from(old).unwrap_or(usize::MAX).min(new.len());
        let (old, live) = new.split_at(new.ceil_char_boundary(old));
        self.append(old, None);
        self.append(live, Some(now));
        self.received += (text.len() - known) as u64;
    }

    /// Adds lines that are not of the log, once that has ended.
    pub(in crate::tui) fn add_after_end(&mut self, lines: &str) {
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
                let room = LONGEST.saturating_sub(self.open.len());
                let fits = rest.trim_end_matches('\n').len() <= room;
                let (now, later) =
                    if fits { (rest, "") } else { rest.split_at(rest.floor_char_boundary(room)) };
                self.open.push_str(now);
                rest = later;
                if !fits || self.open.ends_with('\n') {
                    self.lines.push_back(std::mem::take(&mut self.open).into_boxed_str());
                }
            }
        }
        while (self.lines.len() > LINES || self.bytes > MOST)
            && let Some(gone) = self.lines.pop_front()
        {
            self.first += 1;
            self.bytes -= gone.len();
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

    /// How many bytes of the log have come.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// The oldest line that is still there; so many are gone.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// The line after the last one that has an end.
    pub(in crate::tui) fn closed(&self) -> u64 {
        self.first + self.lines.len() as u64
    }

    /// The line after the last; so many have come.
    pub fn end(&self) -> u64 {
        self.closed() + u64::from(!self.open.is_empty())
    }

    /// Whether nothing has come yet.
    pub fn is_empty(&self) -> bool {
        self.end() == 0
    }

    /// A line, made harmless, without its end; empty where it is not there.
    pub fn line(&self, number: u64) -> Cow<'_, str> {
        let at = number.checked_sub(self.first).and_then(|at| usize::try_from(at).ok());
        let closed = at.and_then(|at| self.lines.get(at));
        let open = if number == self.closed() { self.open.as_str() } else { "" };
        let line = closed.map_or(open, AsRef::as_ref);
        let line = line.strip_suffix('\n').unwrap_or(line);
        let line = line.strip_suffix('\r').unwrap_or(line);
        let harmless = line.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if harmless { line.into() } else { printable(line).into() }
    }

    /// When a line came; `None` for one that was there before.
    pub fn time(&self, number: u64) -> Option<Timestamp> {
        let after = self.times.partition_point(|(from, _)| *from <= number);
        self.times.get(after.checked_sub(1)?)?.1
    }

    /// All that is there, as it came.
    pub fn whole(&self) -> String {
        let mut whole = String::with_capacity(self.bytes);
        self.lines.iter().for_each(|line| whole.push_str(line));
        whole + &self.open
    }
}
