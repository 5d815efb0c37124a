//! A search in a log.

use super::LogText;
use crate::tui::pattern::TypedPattern;
use std::collections::VecDeque;
use std::ops::Range;

/// The lines of a log that match a pattern.
#[derive(Debug)]
pub struct Search {
    /// The pattern, as typed.
    pub pattern: String,
    matcher: TypedPattern,
    lines: VecDeque<u64>,
    /// All lines before this one are complete and were searched.
    searched_to: u64,
    /// The line of the current match.
    pub(in crate::tui) current: Option<u64>,
}

impl Search {
    /// Searches for a pattern; `None` if it is empty. If it extends `before`, only the lines of `before` can match.
    pub(in crate::tui) fn new(pattern: &str, before: Option<Self>, text: &LogText) -> Option<Self> {
        let matcher = TypedPattern::literal(pattern).filter(|_| !pattern.is_empty())?;
        let (lines, searched_to) = match before {
            Some(before) if pattern.starts_with(&before.pattern) => (before.lines, before.searched_to),
            _ => (VecDeque::new(), 0),
        };
        let mut search = Self { pattern: pattern.to_owned(), matcher, lines, searched_to, current: None };
        let mut lines = std::mem::take(&mut search.lines);
        lines.retain(|line| search.is_match(&text.line(*line)));
        search.lines = lines;
        search.update(text);
        Some(search)
    }

    /// Searches new lines, and forgets dropped ones.
    pub(in crate::tui) fn update(&mut self, text: &LogText) {
        while self.lines.front().is_some_and(|line| *line < text.first()) {
            self.lines.pop_front();
        }
        while self.lines.back().is_some_and(|line| *line >= self.searched_to) {
            self.lines.pop_back();
        }
        for line in self.searched_to.max(text.first())..text.end() {
            if self.is_match(&text.line(line)) {
                self.lines.push_back(line);
            }
        }
        self.searched_to = text.closed();
    }

    /// Number of matching lines.
    pub fn count(&self) -> usize {
        self.lines.len()
    }

    /// Position of the current match among the matching lines, from 1.
    pub fn position(&self) -> Option<usize> {
        self.lines.binary_search(&self.current?).ok().map(|at| at + 1)
    }

    /// The next matching line from this one on; the flag says whether the search wrapped around.
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

    /// Byte ranges of the matches in a line.
    pub(in crate::tui) fn ranges(&self, line: &str) -> Vec<Range<usize>> {
        self.matcher.ranges(line)
    }

    fn is_match(&self, line: &str) -> bool {
        self.matcher.is_match(line)
    }
}
