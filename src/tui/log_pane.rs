//! The end of the log of the job in view.

use super::LogKey;
use crate::deployer::LogNews;
use crate::protocol::{fit_start, printable};
use std::collections::VecDeque;

/// How many lines are kept.
const KEPT: usize = 500;
/// The longest line that is kept, in bytes.
const LONGEST: usize = 1024;

/// How the log stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogState {
    /// It was asked for.
    Asked,
    /// It grows.
    Live,
    /// The job has ended and this is its whole end.
    Ended,
    /// The host keeps no such log.
    Missing,
    /// The host does not answer.
    Silent,
}

/// The end of a log.
#[derive(Debug)]
pub struct LogPane {
    /// Whose.
    pub key: LogKey,
    /// How it stands.
    pub state: LogState,
    lines: VecDeque<String>,
    /// The line that has no end yet, as it came.
    open: String,
}

impl LogPane {
    pub(super) fn new(key: LogKey) -> Self {
        Self { key, state: LogState::Asked, lines: VecDeque::new(), open: String::new() }
    }

    pub(super) fn apply(&mut self, news: LogNews) {
        self.state = match news {
            LogNews::Text { text, .. } => {
                self.append(&text);
                LogState::Live
            }
            LogNews::Back => LogState::Live,
            LogNews::Missing => LogState::Missing,
            LogNews::Silent => LogState::Silent,
            LogNews::End => LogState::Ended,
        };
    }

    fn append(&mut self, text: &str) {
        for part in text.split_inclusive('\n') {
            let room = LONGEST.saturating_sub(self.open.len());
            self.open.push_str(fit_start(part.trim_end_matches('\n'), room));
            if part.ends_with('\n') {
                if self.lines.len() == KEPT {
                    self.lines.pop_front();
                }
                let line = std::mem::take(&mut self.open);
                self.lines.push_back(printable(&line));
            }
        }
    }

    /// The last lines, made harmless, oldest first.
    pub fn last(&self, count: usize) -> Vec<String> {
        let open = (!self.open.is_empty()).then(|| printable(&self.open));
        let whole = count.saturating_sub(open.iter().len());
        let skip = self.lines.len().saturating_sub(whole);
        self.lines.iter().skip(skip).cloned().chain(open).collect()
    }
}
