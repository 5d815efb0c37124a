//! The end of the log of the job in view.

use super::LogKey;
use crate::client::LogEvent;
use crate::text::{fitting_prefix, printable};
use std::collections::VecDeque;

/// Number of lines in memory.
const MAX_LINES: usize = 500;
/// Longest line in memory, in bytes; longer ones are cut.
const MAX_LINE_LEN: usize = 1024;

/// State of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogState {
    /// The log was requested.
    Loading,
    /// The job is running, and its output arrives.
    Live,
    /// The job has ended, and the log is complete.
    Ended,
    /// The host has no log of this job.
    Missing,
    /// The host does not answer.
    NoAnswer,
}

/// The end of a log.
#[derive(Debug)]
pub struct LogPane {
    /// The log.
    pub key: LogKey,
    /// Whether the log is loading, live or complete.
    pub state: LogState,
    lines: VecDeque<String>,
    /// The unfinished last line, as received.
    open: String,
}

impl LogPane {
    pub(super) fn new(key: LogKey) -> Self {
        Self { key, state: LogState::Loading, lines: VecDeque::new(), open: String::new() }
    }

    pub(super) fn apply(&mut self, event: LogEvent) {
        self.state = match event {
            LogEvent::Text { text, .. } => {
                self.append(&text);
                LogState::Live
            }
            LogEvent::Recovered => LogState::Live,
            LogEvent::Missing => LogState::Missing,
            LogEvent::NoAnswer => LogState::NoAnswer,
            LogEvent::End => LogState::Ended,
        };
    }

    fn append(&mut self, text: &str) {
        for part in text.split_inclusive('\n') {
            let free = MAX_LINE_LEN.saturating_sub(self.open.len());
            self.open.push_str(fitting_prefix(part.trim_end_matches('\n'), free));
            if part.ends_with('\n') {
                if self.lines.len() == MAX_LINES {
                    self.lines.pop_front();
                }
                let line = std::mem::take(&mut self.open);
                self.lines.push_back(printable(&line));
            }
        }
    }

    /// The last lines without control characters, oldest first.
    pub fn last(&self, count: usize) -> Vec<String> {
        let open = (!self.open.is_empty()).then(|| printable(&self.open));
        let whole = count.saturating_sub(open.iter().len());
        let skip = self.lines.len().saturating_sub(whole);
        self.lines.iter().skip(skip).cloned().chain(open).collect()
    }
}
