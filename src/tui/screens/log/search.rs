//! A search in a log: the lines that contain a text.

use super::LogText;
use std::collections::VecDeque;
use std::ops::Range;

/// The lines of a log that contain a text.
#[derive(Debug)]
pub struct Search {
    /// What is searched for.
    pub pattern: String,
    /// Whether case matters not: where the text has no upper-case letter.
    folds: bool,
    wanted: Vec<char>,
    lines: VecDeque<u64>,
    /// The lines before this one will not change any more and were looked through.
    looked: u64,
    /// The line that was last gone to.
    pub(in crate::tui) current: Option<u64>,
}

impl Search {
    /// Looks for a text that is not empty. Where it goes on from the text `before`, only what contained that can match.
    pub(in crate::tui) fn of(pattern: &str, before: Option<Self>, text: &LogText) -> Option<Self> {
        let folds = !pattern.chars().any(char::is_uppercase);
        let wanted: Vec<_> = pattern.chars().map(|c| if folds { fold(c) } else { c }).collect();
        wanted.first()?;
        let (lines, looked) = match before {
            Some(before) if pattern.starts_with(&before.pattern) => (before.lines, before.looked),
            _ => (VecDeque::new(), 0),
        };
        let mut search = Self { pattern: pattern.to_owned(), folds, wanted, lines, looked, current: None };
        let mut lines = std::mem::take(&mut search.lines);
        lines.retain(|line| search.is_in(&text.line(*line)));
        search.lines = lines;
        search.look(text);
        Some(search)
    }

    /// Looks through what is new, and forgets what is gone.
    pub(in crate::tui) fn look(&mut self, text: &LogText) {
        while self.lines.front().is_some_and(|line| *line < text.first()) {
            self.lines.pop_front();
        }
        while self.lines.back().is_some_and(|line| *line >= self.looked) {
            self.lines.pop_back();
        }
        for line in self.looked.max(text.first())..text.end() {
            if self.is_in(&text.line(line)) {
                self.lines.push_back(line);
            }
        }
        self.looked = text.closed();
    }

    /// How many lines contain it.
    pub fn count(&self) -> usize {
        self.lines.len()
    }

    /// Which of them was last gone to, counted from 1.
    pub fn position(&self) -> Option<usize> {
        self.lines.binary_search(&self.current?).ok().map(|at| at + 1)
    }

    /// The next line with it from this one on, in this direction; whether that is beyond an end of the log.
    pub(in crate::tui) fn next(&self, from: u64, forward: bool) -> Option<(u64, bool)> {
        let (at, other_end) = if forward {
            (Some(self.lines.partition_point(|line| *line < from)), self.lines.front())
        } else {
            (self.lines.partition_point(|line| *line <= from).checked_sub(1), self.lines.back())
        };
        match at.and_then(|at| self.lines.get(at)) {
            Some(line) => Some((*line, false)),
            None => other_end.map(|line| (*line, true)),
        }
    }

    /// Where it is in a line, in bytes.
    pub(in crate::tui) fn ranges(&self, line: &str) -> Vec<Range<usize>> {
        let mut ranges: Vec<Range<usize>> = Vec::new();
        for (at, _) in line.char_indices() {
            if ranges.last().is_none_or(|before| before.end <= at)
                && let Some(length) = self.begins(&line[at..])
            {
                ranges.push(at..at + length);
            }
        }
        ranges
    }

    fn is_in(&self, line: &str) -> bool {
        line.char_indices().any(|(at, _)| self.begins(&line[at..]).is_some())
    }

    /// How many bytes of a text it takes that begins with it.
    fn begins(&self, text: &str) -> Option<usize> {
        let mut rest = text.chars();
        for wanted in &self.wanted {
            let c = rest.next()?;
            if *wanted != if self.folds { fold(c) } else { c } {
                return None;
            }
        }
        Some(text.len() - rest.as_str().len())
    }
}

/// A character in the case that is compared.
fn fold(c: char) -> char {
    if c.is_ascii() { c.to_ascii_lowercase() } else { c.to_lowercase().next().unwrap_or(c) }
}
