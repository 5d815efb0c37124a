//! The sort order of a list other than the hosts.

use super::{App, Screen};
use std::cmp::Ordering;

/// The sort column of a list, or the list's own order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ListSort {
    /// The column; `None` for the list's own order.
    pub column: Option<&'static str>,
    /// Whether the order is reversed.
    pub reverse: bool,
}

impl ListSort {
    /// Selects the next of these columns; after the last one, the list's own order.
    fn turn(&mut self, columns: &[&'static str]) {
        let next = match self.column {
            None => 0,
            Some(column) => columns.iter().position(|other| *other == column).map_or(0, |at| at + 1),
        };
        *self = Self { column: columns.get(next).copied(), reverse: false };
    }

    /// Sorts rows that are in the list's own order. `compare` compares two rows by a column.
    pub(super) fn arrange<R>(self, rows: &mut [R], compare: impl Fn(&str, &R, &R) -> Ordering) {
        if let Some(column) = self.column {
            rows.sort_by(|a, b| compare(column, a, b));
        }
        if self.reverse {
            rows.reverse();
        }
    }
}

impl Screen {
    /// The sort order of the list, if the screen has one.
    pub fn list_sort(&self) -> Option<ListSort> {
        match self {
            Self::Deployments(screen) => Some(screen.sort),
            Self::Deployment(screen) => Some(screen.sort),
            Self::Builds(screen) => Some(screen.sort),
            Self::Changes(screen) => Some(screen.sort),
            _ => None,
        }
    }

    /// The columns by which the list can be sorted.
    pub fn sort_columns(&self) -> &'static [&'static str] {
        match self {
            Self::Deployments(_) => &["when", "who", "action", "revision", "hosts", "result"],
            Self::Deployment(_) => &["host", "time", "message"],
            Self::Builds(_) => &["when", "target", "repo", "commit", "result"],
            Self::Changes(_) => &["hosts", "change"],
            _ => &[],
        }
    }

    /// The sort order of the list for changes.
    fn list_sort_mut(&mut self) -> Option<&mut ListSort> {
        match self {
            Self::Deployments(screen) => Some(&mut screen.sort),
            Self::Deployment(screen) => Some(&mut screen.sort),
            Self::Builds(screen) => Some(&mut screen.sort),
            Self::Changes(screen) => Some(&mut screen.sort),
            _ => None,
        }
    }
}

impl App {
    /// Sorts the list on screen by its next column.
    pub(super) fn turn_list_sort(&mut self) {
        let Some(screen) = self.screens.last_mut() else { return };
        let columns = screen.sort_columns();
        if let Some(sort) = screen.list_sort_mut() {
            sort.turn(columns);
        }
    }

    /// Reverses the order of the list on screen.
    pub(super) fn reverse_list(&mut self) {
        if let Some(sort) = self.screens.last_mut().and_then(Screen::list_sort_mut) {
            sort.reverse = !sort.reverse;
        }
    }

    /// Sorts the list on screen by one of its columns.
    pub(super) fn sort_list(&mut self, column: &'static str) {
        if let Some(sort) = self.screens.last_mut().and_then(Screen::list_sort_mut) {
            *sort = ListSort { column: Some(column), reverse: false };
        }
    }
}
