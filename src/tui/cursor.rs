//! A selected row in a list. The selection follows the item of the row when rows move.

use super::KeyCommand;

/// The rows of a list, the selected row, and the scroll position.
#[derive(Debug)]
pub struct Cursor<K> {
    /// Index of the first visible row.
    pub top: usize,
    rows: Vec<K>,
    at: usize,
    selected: Option<K>,
    /// Whether the first row stays selected, even if its item changes, until the operator moves the selection.
    stays_first: bool,
}

impl<K: Clone + PartialEq> Cursor<K> {
    /// Creates an empty list that selects this item, or else the first row.
    pub(super) fn new(selected: Option<K>) -> Self {
        Self { top: 0, rows: Vec::new(), at: 0, selected, stays_first: false }
    }

    /// Creates an empty list that selects the first row until the operator moves the selection.
    pub(super) fn staying_first() -> Self {
        Self { stays_first: true, ..Self::new(None) }
    }

    /// The items of the rows, in display order.
    pub fn rows(&self) -> &[K] {
        &self.rows
    }

    /// Item of the selected row; `None` if the list is empty.
    pub fn selected(&self) -> Option<&K> {
        self.selected.as_ref()
    }

    /// Index of the selected row.
    pub fn row(&self) -> usize {
        self.at
    }

    /// Replaces the rows and scrolls the selected one into a view of `height` rows. If the selected item is gone, the
    /// same row stays selected.
    pub(super) fn set_rows(&mut self, rows: Vec<K>, height: usize) {
        self.rows = rows;
        let row = self.rows.iter().position(|row| Some(row) == self.selected.as_ref() && !self.stays_first);
        self.select(row.unwrap_or(self.at));
        self.scroll_into_view(height);
    }

    /// Scrolls the selected row into a view of `height` rows.
    pub(super) fn scroll_into_view(&mut self, height: usize) {
        let height = height.max(1);
        self.top = self.top.min(self.rows.len().saturating_sub(height));
        self.top = self.top.clamp((self.at + 1).saturating_sub(height), self.at);
    }

    fn select(&mut self, row: usize) {
        self.at = row.min(self.rows.len().saturating_sub(1));
        self.selected = self.rows.get(self.at).cloned();
    }

    /// Moves the selection; returns whether the command is a movement.
    pub(super) fn go(&mut self, command: KeyCommand, page: usize) -> bool {
        let row = match command {
            KeyCommand::Down => self.at + 1,
            KeyCommand::Up => self.at.saturating_sub(1),
            KeyCommand::PageDown => self.at + page.max(1),
            KeyCommand::PageUp => self.at.saturating_sub(page.max(1)),
            KeyCommand::First => 0,
            KeyCommand::Last => self.rows.len(),
            _ => return false,
        };
        self.stays_first = false;
        self.select(row);
        true
    }
}
