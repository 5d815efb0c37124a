//! The logs of several hosts as one stream, with a filter that hides lines.

use crate::client::LogEvent;
use crate::text::printable;
use crate::tui::LogKey;
use crate::tui::pattern::TypedPattern;
use std::collections::VecDeque;
use std::ops::Range;
use tui_input::Input;

/// Number of logs that are followed together.
pub(in crate::tui) const MAX_LOGS: usize = 64;
/// Number of lines in memory, and their length in bytes; the oldest ones are dropped.
const MAX_LINES: usize = 20_000;
const MAX_BYTES: usize = 8 << 20;
/// Longest line in bytes; longer ones are cut.
const MAX_LINE: usize = 2048;

/// The logs of several hosts.
#[derive(Debug)]
pub struct LogsScreen {
    /// The logs.
    pub keys: Vec<LogKey>,
    /// Number of hosts that were left out because there are too many.
    pub left_out: usize,
    /// Whether the view follows the end.
    pub follow: bool,
    /// Index of the first visible line among those that match.
    pub top: usize,
    /// Number of columns that are scrolled out at the left.
    pub left: usize,
    /// The filter.
    pub filter: LineFilter,
    /// The filter that is being typed, and the one that escape restores.
    pub filter_input: Option<(Input, LineFilter)>,
    /// Number of lines that were dropped.
    pub dropped: u64,
    lines: VecDeque<HostLogLine>,
    bytes: usize,
    /// Indices of the lines that match, counted from the first line ever.
    shown: VecDeque<u64>,
    /// The unfinished last line of each log.
    open: Vec<String>,
    ended: Vec<bool>,
}

/// A line, and the index of its log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostLogLine {
    /// Index in the list of logs.
    pub log: usize,
    /// The line, printable.
    pub text: String,
}

/// Which lines are shown: all, or those that match a regular expression.
#[derive(Debug, Clone, Default)]
pub struct LineFilter {
    /// The filter as typed.
    pub text: String,
    pattern: Option<TypedPattern>,
    /// Why the text is not a regular expression; it is searched literally then.
    pub error: Option<String>,
}

impl LineFilter {
    /// A filter for a regular expression, or for the text itself if it is not one. Without an upper-case letter, case does
    /// not count.
    pub fn new(text: &str) -> Self {
        if text.is_empty() {
            return Self::default();
        }
        let (pattern, error) = match TypedPattern::new(text) {
            Some(pattern) => (Some(pattern), None),
            None => {
                (TypedPattern::literal(text), Some("not a regular expression, searched as text".to_owned()))
            }
        };
        Self { text: text.to_owned(), pattern, error }
    }

    /// Whether every line is shown.
    pub fn is_empty(&self) -> bool {
        self.pattern.is_none()
    }

    /// Whether a line is shown.
    pub fn matches(&self, line: &str) -> bool {
        self.pattern.as_ref().is_none_or(|pattern| pattern.is_match(line))
    }

    /// The parts of a line that match.
    pub fn ranges(&self, line: &str) -> Vec<Range<usize>> {
        self.pattern.as_ref().map(|pattern| pattern.ranges(line)).unwrap_or_default()
    }
}

impl LogsScreen {
    /// Creates an empty stream of these logs. It is read while it is the last screen.
    pub fn new(mut keys: Vec<LogKey>, filter: &str) -> Box<Self> {
        let left_out = keys.len().saturating_sub(MAX_LOGS);
        keys.truncate(MAX_LOGS);
        let (open, ended) = (vec![String::new(); keys.len()], vec![false; keys.len()]);
        Box::new(Self {
            keys,
            left_out,
            follow: true,
            top: 0,
            left: 0,
            filter: LineFilter::new(filter),
            filter_input: None,
            dropped: 0,
            lines: VecDeque::new(),
            bytes: 0,
            shown: VecDeque::new(),
            open,
            ended,
        })
    }

    /// Removes all lines, because the logs are read again.
    pub(in crate::tui) fn restart(&mut self) {
        self.lines.clear();
        self.shown.clear();
        self.bytes = 0;
        self.open.iter_mut().for_each(String::clear);
        self.ended.fill(false);
    }

    /// Applies an event of one of the logs.
    pub(in crate::tui) fn apply(&mut self, key: &LogKey, event: LogEvent) {
        let Some(log) = self.keys.iter().position(|known| known == key) else { return };
        match event {
            LogEvent::Text { text, .. } => {
                let mut text = std::mem::take(&mut self.open[log]) + &text;
                let end = text.rfind('\n').map_or(0, |end| end + 1);
                let mut rest = text.split_off(end);
                // A line without an end must not grow without a limit.
                if rest.len() > MAX_LINE {
                    self.push(log, &rest);
                    rest.clear();
                }
                self.open[log] = rest;
                text.lines().for_each(|line| self.push(log, line));
            }
            LogEvent::End => {
                let rest = std::mem::take(&mut self.open[log]);
                if !rest.is_empty() {
                    self.push(log, &rest);
                }
                self.ended[log] = true;
            }
            LogEvent::Missing => {
                self.push(log, "(the host has no log of this job)");
                self.ended[log] = true;
            }
            LogEvent::NoAnswer => self.push(log, "(no answer to the log query)"),
            LogEvent::Recovered => {}
        }
    }

    fn push(&mut self, log: usize, line: &str) {
        let text = printable(crate::text::fitting_prefix(line, MAX_LINE));
        if self.filter.matches(&text) {
            self.shown.push_back(self.dropped + self.lines.len() as u64);
        }
        self.bytes += text.len();
        self.lines.push_back(HostLogLine { log, text });
        while self.lines.len() > MAX_LINES || self.bytes > MAX_BYTES {
            let Some(oldest) = self.lines.pop_front() else { break };
            self.bytes -= oldest.text.len();
            if self.shown.front() == Some(&self.dropped) {
                self.shown.pop_front();
                self.top = self.top.saturating_sub(1);
            }
            self.dropped += 1;
        }
    }

    /// Shows only the lines that match this filter.
    pub(in crate::tui) fn set_filter(&mut self, filter: LineFilter) {
        let first = self.dropped;
        let numbers = self.lines.iter().enumerate().filter(|(_, line)| filter.matches(&line.text));
        self.shown = numbers.map(|(at, _)| first + at as u64).collect();
        self.filter = filter;
    }

    /// Number of lines that match.
    pub fn len(&self) -> usize {
        self.shown.len()
    }

    /// Whether no line matches.
    pub fn is_empty(&self) -> bool {
        self.shown.is_empty()
    }

    /// Number of lines in memory.
    pub fn all(&self) -> usize {
        self.lines.len()
    }

    /// Number of logs that are complete.
    pub fn ended(&self) -> usize {
        self.ended.iter().filter(|ended| **ended).count()
    }

    /// The matching lines from this index on.
    pub fn lines_from(&self, top: usize) -> impl Iterator<Item = &HostLogLine> {
        let line =
            |number: &u64| self.lines.get(usize::try_from(*number - self.dropped).unwrap_or(usize::MAX));
        self.shown.iter().skip(top).filter_map(line)
    }

    /// Adjusts the position to new lines and to a view of `height` lines.
    pub(in crate::tui) fn clamp_scroll(&mut self, height: usize) {
        let bottom = self.shown.len().saturating_sub(height);
        self.top = if self.follow { bottom } else { self.top.min(bottom) };
    }

    /// Scrolls down by this many lines, or up if it is negative.
    pub(in crate::tui) fn scroll(&mut self, lines: isize) {
        self.follow &= lines > 0;
        self.top = self.top.saturating_add_signed(lines);
    }
}
