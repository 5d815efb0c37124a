//! The screen of the event feed.

use crate::protocol::Name;
use crate::tui::cursor::Cursor;
use crate::tui::screens::LineFilter;
use crate::tui::{App, view};
use jiff::Timestamp;

/// A row of the feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeedRow {
    /// The event of this number.
    Event(u64),
    /// Newer events are above, those that the operator has seen are below.
    LastLooked,
}

/// The event feed, newest events first.
#[derive(Debug)]
pub struct EventsScreen {
    /// The rows, in display order.
    pub cursor: Cursor<FeedRow>,
    /// Which events are shown.
    pub filter: LineFilter,
    /// When the operator last opened the feed before.
    pub last_looked: Option<Timestamp>,
    /// Host of the selected event.
    host: Option<Name>,
}

impl EventsScreen {
    pub(in crate::tui) fn new(last_looked: Option<Timestamp>) -> Self {
        Self { cursor: Cursor::staying_first(), filter: LineFilter::default(), last_looked, host: None }
    }

    /// Host of the selected event.
    pub fn host(&self) -> Option<&Name> {
        self.host.as_ref()
    }

    pub(in crate::tui) fn refresh_cache(&mut self, app: &App) {
        let mut rows = Vec::with_capacity(app.feed.events().len() + 1);
        let mut newer = true;
        for event in app.feed.events().iter().rev() {
            if !self.filter.is_empty() && !self.filter.matches(&format!("{} {}", event.host, event.text)) {
                continue;
            }
            if newer && self.last_looked.is_some_and(|at| event.at <= at) {
                newer = false;
                rows.push(FeedRow::LastLooked);
            }
            rows.push(FeedRow::Event(event.number));
        }
        self.cursor.set_rows(rows, view::rows_in_view(app.size) + 1);
        self.host = match self.cursor.selected() {
            Some(FeedRow::Event(number)) => app.feed.get(*number).map(|event| event.host.clone()),
            _ => None,
        };
    }
}
