//! A selected row among others. The selection follows what is in the row, not the line.

use super::Command;

/// Rows, the selected one, and the first in view.
#[derive(Debug)]
pub struct Cursor<K> {
    /// The first row in view.
    pub top: usize,
    rows: Vec<K>,
    at: usize,
    selected: Option<K>,
    /// Stays at the first row, whatever comes to be there, until somebody moves it.
    rests: bool,
}

impl<K: Clone + PartialEq> Cursor<K> {
    /// No rows yet; this one will be selected, or else the first.
    pub(super) fn new(selected: Option<K>) -> Self {
        Self { top: 0, rows: Vec::new(), at: 0, selected, rests: false }
    }

    /// No rows yet; whatever is the first one is selected until somebody moves the selection.
    pub(super) fn resting() -> Self {
        Self { rests: true, ..Self::new(None) }
    }

    /// The rows, in order.
    pub fn rows(&self) -> &[K] {
        &self.rows
    }

    /// The selected one.
    pub fn selected(&self) -> Option<&K> {
        self.selected.as_ref()
    }

    /// Its row.
    pub fn row(&self) -> usize {
        self.at
    }

    /// Takes the rows as they are now, and brings the selected one into a view of `height` rows. Where it is gone, the
    /// selection stays at its row.
    pub(super) fn settle(&mut self, rows: Vec<K>, height: usize) {
        self.rows = rows;
        let row = self.rows.iter().position(|row| Some(row) == self.selected.as_ref() && !self.rests);
        self.select(row.unwrap_or(self.at));
        let height = height.max(1);
        self.top = self.top.min(self.rows.len().saturating_sub(height));
        self.top = self.top.clamp((self.at + 1).saturating_sub(height), self.at);
    }

    fn select(&mut self, row: usize) {
        self.at = row.min(self.rows.len().saturating_sub(1));
        self.selected = self.rows.get(self.at).cloned();
    }

    /// Moves the selection; gives whether the command is one that does.
    pub(super) fn go(&mut self, command: Command, page: usize) -> bool {
        let row = match command {
            Command::Down => self.at + 1,
            Command::Up => self.at.saturating_sub(1),
            Command::PageDown => self.at + page.max(1),
            Command::PageUp => self.at.saturating_sub(page.max(1)),
            Command::First => 0,
            Command::Last => self.rows.len(),
            _ => return false,
        };
        self.rests = false;
        self.select(row);
        true
    }
}
