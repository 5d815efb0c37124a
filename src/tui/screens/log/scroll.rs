//! Which part of a log is in view. It is held by a line: what comes or goes elsewhere moves nothing.

use super::rows::{Row, window, wrapped};
use super::{LogScreen, Search};
use crate::tui::text;
use ratatui::layout::Size;

/// How many columns are gone sideways at once.
const STEP: usize = 16;
/// The columns of a time and a blank.
pub(in crate::tui) const TIME: usize = 9;

/// A row of a log: a line, and the column in it where the row begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Place {
    /// The line.
    pub line: u64,
    /// The column.
    pub column: usize,
}

/// The room that there is for text.
#[derive(Debug, Clone, Copy)]
pub(in crate::tui) struct Page {
    pub(in crate::tui) columns: usize,
    pub(in crate::tui) rows: usize,
}

impl LogScreen {
    /// The room for text where the screen has this much.
    pub(in crate::tui) fn page(&self, room: Size) -> Page {
        let times = if self.times { TIME } else { 0 };
        Page {
            columns: usize::from(room.width).saturating_sub(times).max(1),
            rows: usize::from(room.height).max(1),
        }
    }

    /// The rows that a line takes.
    pub(in crate::tui) fn rows(&self, line: &str, page: Page) -> Vec<Row> {
        if self.wrap { wrapped(line, page.columns) } else { vec![Row { byte: 0, column: 0 }] }
    }

    /// The rows of the line of this number; without wrapping it need not be looked at.
    fn rows_of(&self, line: u64, page: Page) -> Vec<Row> {
        if self.wrap { wrapped(&self.text.line(line), page.columns) } else { self.rows("", page) }
    }

    /// The place so many rows further up, or the first one.
    fn up(&self, from: Place, count: usize, page: Page) -> Place {
        let (mut line, mut left) = (from.line, count);
        let mut rows = self.rows_of(line, page);
        let mut row = row_at(&rows, from.column);
        while left > row && line > self.text.first() {
            left -= row + 1;
            line -= 1;
            rows = self.rows_of(line, page);
            row = rows.len() - 1;
        }
        Place { line, column: rows[row.saturating_sub(left)].column }
    }

    /// The place so many rows further down, or the last one.
    fn down(&self, from: Place, count: usize, page: Page) -> Place {
        let (mut line, mut left) = (from.line, count);
        let mut rows = self.rows_of(line, page);
        let mut row = row_at(&rows, from.column);
        while row + left >= rows.len() && line + 1 < self.text.end() {
            left -= rows.len() - row;
            line += 1;
            rows = self.rows_of(line, page);
            row = 0;
        }
        Place { line, column: rows[(row + left).min(rows.len() - 1)].column }
    }

    /// The top where the end is in view.
    fn bottom(&self, page: Page) -> Place {
        let line = self.text.end().saturating_sub(1).max(self.text.first());
        self.up(Place { line, column: usize::MAX }, page.rows - 1, page)
    }

    /// Brings the place up to date with what came, what went, and the size of the screen.
    pub(in crate::tui) fn settle(&mut self, page: Page) {
        let first = Place { line: self.text.first(), column: 0 };
        let bottom = self.bottom(page);
        self.top = if self.follow { bottom } else { self.down(self.top.max(first), 0, page).min(bottom) };
        self.seen = self.seen.max(self.below(page));
    }

    /// The line after the last in view.
    pub(in crate::tui) fn below(&self, page: Page) -> u64 {
        (self.down(self.top, page.rows - 1, page).line + 1).min(self.text.end())
    }

    /// How many lines have come that were not in view yet.
    pub(in crate::tui) fn unseen(&self) -> u64 {
        self.text.end().saturating_sub(self.seen)
    }

    pub(in crate::tui) fn scroll_up(&mut self, rows: usize, page: Page) {
        self.follow = false;
        self.top = self.up(self.top, rows, page);
    }

    pub(in crate::tui) fn scroll_down(&mut self, rows: usize, page: Page) {
        self.top = self.down(self.top, rows, page).min(self.bottom(page));
    }

    pub(in crate::tui) fn go_to_start(&mut self) {
        self.follow = false;
        self.top = Place { line: self.text.first(), column: 0 };
    }

    pub(in crate::tui) fn scroll_left(&mut self) {
        self.left = self.left.saturating_sub(STEP);
    }

    /// Goes right, no further than the longest line in view reaches.
    pub(in crate::tui) fn scroll_right(&mut self, page: Page) {
        if self.wrap {
            return;
        }
        let lines = self.top.line..self.below(page);
        let widest = lines.map(|line| text::width(&self.text.line(line))).max().unwrap_or(0);
        self.left = (self.left + STEP).min(widest.saturating_sub(page.columns)).max(self.left);
    }

    /// Goes to what is searched for in this line, and no further than it must.
    pub(in crate::tui) fn show(&mut self, line: u64, page: Page) {
        self.follow = false;
        let shown = self.text.line(line);
        let found = self.search.as_ref().and_then(|search| search.ranges(&shown).into_iter().next());
        let Some(found) = found else { return };
        let start = text::width(&shown[..found.start]);
        let end = text::width(&shown[..found.end]);
        let rows = self.rows(&shown, page);
        let place = Place { line, column: rows[row_at(&rows, start)].column };
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

    /// Goes to the next line with what is searched for, in this direction; whether it went on beyond an end. From the
    /// last one while that is in view, else from what is in view. `None` where there is none.
    pub(in crate::tui) fn go_to_match(&mut self, forward: bool, page: Page) -> Option<bool> {
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

    /// Searches for what is typed, from where typing began.
    pub(in crate::tui) fn search_as_typed(&mut self, page: Page) {
        let Some(typing) = &self.typing else { return };
        let pattern = typing.input.value();
        if self.search.as_ref().map_or("", |search| search.pattern.as_str()) == pattern {
            return;
        }
        (self.top, self.left, self.follow) = (typing.top, typing.left, typing.follow);
        self.search = Search::of(pattern, self.search.take(), &self.text);
        let next = self.search.as_ref().and_then(|search| search.next(self.top.line, true));
        if let Some((line, _)) = next {
            self.show(line, page);
        }
    }

    /// The part of a line from the first column in view on, without wrapping.
    pub(in crate::tui) fn window(&self, line: &str, page: Page) -> (usize, std::ops::Range<usize>) {
        window(line, self.left, page.columns)
    }
}

/// The row that holds this column.
fn row_at(rows: &[Row], column: usize) -> usize {
    rows.partition_point(|row| row.column <= column).saturating_sub(1)
}
