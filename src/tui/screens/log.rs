//! The screen of one log, from its first line and then live.

mod search;
mod text;

pub use search::Search;
pub use text::LogText;

use crate::activation::diagnostics_after_log;
use crate::client::LogEvent;
use crate::protocol::DeployReport;
use crate::tui::log_line::ShownLine;
use crate::tui::text::width;
use crate::tui::{LogKey, LogState};
use jiff::Timestamp;
use ratatui::layout::Size;
use text::{WrappedRow, window, wrapped};
use tui_input::Input;

/// Number of columns per step to the left or right.
const STEP: usize = 16;
/// Width of a time and a space.
pub(in crate::tui) const TIME_WIDTH: usize = 9;

/// The screen of a log.
#[derive(Debug)]
pub struct LogScreen {
    /// The log.
    pub key: LogKey,
    /// Whether the log is loading, live or complete.
    pub state: LogState,
    /// The received text.
    pub text: LogText,
    /// Whether the end stays in view.
    pub follow: bool,
    /// Whether long lines are wrapped.
    pub wrap: bool,
    /// Whether the arrival time of live lines is shown.
    pub times: bool,
    /// Position of the first visible row.
    pub top: LogPosition,
    /// First visible column, if lines are not wrapped.
    pub left: usize,
    /// The current search.
    pub search: Option<Search>,
    /// The search field while it is open.
    pub search_input: Option<SearchInput>,
    /// Whether the diagnostics of the job are known.
    pub diagnostics: DiagnosticsState,
    /// The line after the last one that was ever visible.
    seen: u64,
}

/// State of the diagnostics that follow the log of a failed job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiagnosticsState {
    /// The log has not ended yet.
    NotNeeded,
    /// The host was queried for them.
    Requested,
    /// They follow the log, or there are none.
    Shown,
}

/// The search field, and the state to restore if the search is cancelled.
#[derive(Debug)]
pub struct SearchInput {
    /// The typed search.
    pub input: Input,
    top: LogPosition,
    left: usize,
    follow: bool,
    search: Option<Search>,
}

impl LogScreen {
    /// Creates an empty log. It is read while it is the last of [`crate::tui::App::screens`].
    pub fn new(key: LogKey) -> Box<Self> {
        Box::new(Self {
            key,
            state: LogState::Loading,
            text: LogText::default(),
            follow: true,
            wrap: false,
            times: false,
            top: LogPosition::default(),
            left: 0,
            search: None,
            search_input: None,
            diagnostics: DiagnosticsState::NotNeeded,
            seen: 0,
        })
    }

    /// Applies an event; text after the first `stored_len` bytes is live.
    pub(in crate::tui) fn apply(&mut self, event: LogEvent, stored_len: Option<u64>, now: Timestamp) {
        self.state = match event {
            LogEvent::Text { offset, text } => {
                self.text.take(offset, &text, stored_len, now);
                if let Some(search) = &mut self.search {
                    search.update(&self.text);
                }
                LogState::Live
            }
            LogEvent::Recovered => LogState::Live,
            LogEvent::Missing => LogState::Missing,
            LogEvent::NoAnswer => LogState::NoAnswer,
            LogEvent::End => LogState::Ended,
        };
    }

    /// Whether the log has ended and its diagnostics were not requested yet.
    pub(in crate::tui) fn needs_diagnostics(&self) -> bool {
        matches!(self.state, LogState::Ended | LogState::Missing)
            && self.diagnostics == DiagnosticsState::NotNeeded
    }

    /// Appends the diagnostics of the job to the log.
    pub(in crate::tui) fn show_diagnostics(&mut self, report: Option<&DeployReport>) {
        if self.diagnostics == DiagnosticsState::Shown {
            return;
        }
        self.diagnostics = DiagnosticsState::Shown;
        let lines = report.and_then(|report| report.diagnostics.as_deref()).map(diagnostics_after_log);
        if let Some(lines) = lines.filter(|lines| !lines.is_empty()) {
            self.text.append_diagnostics(lines);
            if let Some(search) = &mut self.search {
                search.update(&self.text);
            }
        }
    }

    /// Opens the search field.
    pub(in crate::tui) fn type_search(&mut self) {
        let (top, left, follow, search) = (self.top, self.left, self.follow, self.search.take());
        self.search_input = Some(SearchInput { input: Input::default(), top, left, follow, search });
    }

    /// Closes the search field. An empty or cancelled search restores the previous state.
    pub(in crate::tui) fn end_typing(&mut self, keep: bool) {
        let Some(typing) = self.search_input.take() else { return };
        if keep && self.search.is_some() {
            return;
        }
        (self.top, self.left, self.follow) = (typing.top, typing.left, typing.follow);
        self.search = typing.search;
        if let Some(search) = &mut self.search {
            search.update(&self.text);
        }
    }

    /// File name for the log.
    pub(in crate::tui) fn file(&self) -> String {
        format!("{}-{}.log", self.key.host, self.key.job)
    }

    /// The space for text within `available`, less the column with the times.
    pub(in crate::tui) fn page(&self, available: Size) -> Viewport {
        let times = if self.times { TIME_WIDTH } else { 0 };
        Viewport {
            columns: usize::from(available.width).saturating_sub(times).max(1),
            rows: usize::from(available.height).max(1),
        }
    }

    /// A line as it is shown: with shortened store paths, unless long lines are wrapped.
    pub(in crate::tui) fn shown(&self, number: u64) -> ShownLine<'_> {
        let line = self.text.line(number);
        if self.wrap { ShownLine::whole(line) } else { ShownLine::short(line) }
    }

    /// The rows of a line.
    pub(in crate::tui) fn rows(&self, line: &str, page: Viewport) -> Vec<WrappedRow> {
        if self.wrap { wrapped(line, page.columns) } else { vec![WrappedRow { byte: 0, column: 0 }] }
    }

    /// The rows of the line of this number. Without wrapping, the line itself does not matter.
    fn rows_of(&self, line: u64, page: Viewport) -> Vec<WrappedRow> {
        if self.wrap { wrapped(&self.text.line(line), page.columns) } else { self.rows("", page) }
    }

    /// The position `count` rows further up, or the first one.
    fn up(&self, from: LogPosition, count: usize, page: Viewport) -> LogPosition {
        let (mut line, mut left) = (from.line, count);
        let mut rows = self.rows_of(line, page);
        let mut row = row_at(&rows, from.column);
        while left > row && line > self.text.first() {
            left -= row + 1;
            line -= 1;
            rows = self.rows_of(line, page);
            row = rows.len() - 1;
        }
        LogPosition { line, column: rows[row.saturating_sub(left)].column }
    }

    /// The position `count` rows further down, or the last one.
    fn down(&self, from: LogPosition, count: usize, page: Viewport) -> LogPosition {
        let (mut line, mut left) = (from.line, count);
        let mut rows = self.rows_of(line, page);
        let mut row = row_at(&rows, from.column);
        while row + left >= rows.len() && line + 1 < self.text.end() {
            left -= rows.len() - row;
            line += 1;
            rows = self.rows_of(line, page);
            row = 0;
        }
        LogPosition { line, column: rows[(row + left).min(rows.len() - 1)].column }
    }

    /// The top position that shows the end of the log.
    fn bottom(&self, page: Viewport) -> LogPosition {
        let line = self.text.end().saturating_sub(1).max(self.text.first());
        self.up(LogPosition { line, column: usize::MAX }, page.rows - 1, page)
    }

    /// Adjusts the position to new lines, dropped lines and the size of the screen.
    pub(in crate::tui) fn clamp_scroll(&mut self, page: Viewport) {
        let first = LogPosition { line: self.text.first(), column: 0 };
        let bottom = self.bottom(page);
        self.top = if self.follow { bottom } else { self.down(self.top.max(first), 0, page).min(bottom) };
        self.seen = self.seen.max(self.below(page));
    }

    /// The line after the last visible one.
    pub(in crate::tui) fn below(&self, page: Viewport) -> u64 {
        (self.down(self.top, page.rows - 1, page).line + 1).min(self.text.end())
    }

    /// Number of lines that have arrived and were never visible.
    pub(in crate::tui) fn unseen(&self) -> u64 {
        self.text.end().saturating_sub(self.seen)
    }

    pub(in crate::tui) fn scroll_up(&mut self, rows: usize, page: Viewport) {
        self.follow = false;
        self.top = self.up(self.top, rows, page);
    }

    pub(in crate::tui) fn scroll_down(&mut self, rows: usize, page: Viewport) {
        self.top = self.down(self.top, rows, page).min(self.bottom(page));
    }

    pub(in crate::tui) fn go_to_start(&mut self) {
        self.follow = false;
        self.top = LogPosition { line: self.text.first(), column: 0 };
    }

    pub(in crate::tui) fn scroll_left(&mut self) {
        self.left = self.left.saturating_sub(STEP);
    }

    /// Scrolls right, but not past the longest visible line.
    pub(in crate::tui) fn scroll_right(&mut self, page: Viewport) {
        if self.wrap {
            return;
        }
        let lines = self.top.line..self.below(page);
        let widest = lines.map(|line| width(&self.shown(line).text)).max().unwrap_or(0);
        self.left = (self.left + STEP).min(widest.saturating_sub(page.columns)).max(self.left);
    }

    /// Scrolls to the match in this line, as little as possible.
    pub(in crate::tui) fn show(&mut self, line: u64, page: Viewport) {
        self.follow = false;
        let whole = self.text.line(line);
        let found = self.search.as_ref().and_then(|search| search.ranges(&whole).into_iter().next());
        let Some(found) = found else { return };
        let shown = self.shown(line);
        let (found, shown) = (shown.map(&found), shown.text);
        let start = width(&shown[..found.start]);
        let end = width(&shown[..found.end]);
        let rows = self.rows(&shown, page);
        let place = LogPosition { line, column: rows[row_at(&rows, start)].column };
        if place < self.top || place > self.down(self.top, page.rows - 1, page) {
            self.top = self.up(place, page.rows / 3, page);
        }
        if !self.wrap && (start < self.left || end > self.left + page.columns) {
            self.left = if end <= page.columns { 0 } else { start.saturating_sub(page.columns / 3) };
        }
        if let Some(search) = &mut self.search {
            search.current = Some(line);
        }
    }

    /// Moves to the next matching line in this direction; returns whether the search wrapped around, or `None` without
    /// a match. Starts at the current match if it is visible, or else at the first visible line.
    pub(in crate::tui) fn go_to_match(&mut self, forward: bool, page: Viewport) -> Option<bool> {
        let search = self.search.as_ref()?;
        let in_view = self.top.line..self.below(page);
        let from = match search.current.filter(|current| in_view.contains(current)) {
            Some(current) if forward => Some(current + 1),
            Some(current) => current.checked_sub(1),
            None => Some(self.top.line),
        };
        let (line, beyond) = match from {
            Some(from) => search.next(from, forward)?,
            None => (search.next(u64::MAX, false)?.0, true),
        };
        self.show(line, page);
        Some(beyond)
    }

    /// Searches for the typed pattern, from the position at which the search field was opened.
    pub(in crate::tui) fn search_as_typed(&mut self, page: Viewport) {
        let Some(typing) = &self.search_input else { return };
        let pattern = typing.input.value();
        if self.search.as_ref().map_or("", |search| search.pattern.as_str()) == pattern {
            return;
        }
        (self.top, self.left, self.follow) = (typing.top, typing.left, typing.follow);
        self.search = Search::new(pattern, self.search.take(), &self.text);
        let next = self.search.as_ref().and_then(|search| search.next(self.top.line, true));
        if let Some((line, _)) = next {
            self.show(line, page);
        }
    }

    /// The visible part of a line without wrapping.
    pub(in crate::tui) fn window(&self, line: &str, page: Viewport) -> (usize, std::ops::Range<usize>) {
        window(line, self.left, page.columns)
    }
}

/// A row of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct LogPosition {
    /// Number of the line.
    pub line: u64,
    /// Column of the line in which the row starts.
    pub column: usize,
}

/// The space for text.
#[derive(Debug, Clone, Copy)]
pub(in crate::tui) struct Viewport {
    pub(in crate::tui) columns: usize,
    pub(in crate::tui) rows: usize,
}

/// Index of the row that contains this column.
fn row_at(rows: &[WrappedRow], column: usize) -> usize {
    rows.partition_point(|row| row.column <= column).saturating_sub(1)
}
