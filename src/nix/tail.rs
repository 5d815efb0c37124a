//! The last lines of a log.

use crate::protocol::fit_start;
use std::collections::VecDeque;

/// The most that is kept of a line, in bytes.
const LINE_BYTES: usize = 400;

/// So many of the last lines of a log, each cut where it is long.
#[derive(Debug)]
pub struct LogTail {
    most: usize,
    lines: VecDeque<String>,
}

impl LogTail {
    /// Keeps the last `most` lines.
    pub fn of(most: usize) -> Self {
        Self { most, lines: VecDeque::new() }
    }

    /// Takes a line.
    pub fn push(&mut self, line: &str) {
        if self.lines.len() == self.most {
            self.lines.pop_front();
        }
        self.lines.push_back(fit_start(line, LINE_BYTES).to_owned());
    }

    /// The lines.
    pub fn text(self) -> String {
        Vec::from(self.lines).join("\n")
    }
}
