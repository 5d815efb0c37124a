//! The screen of one host: its selection, and the history that the host returned.

use crate::client::Reply;
use crate::fleet::Fleet;
use crate::protocol::{HistoryEntry, Id, Name};
use std::collections::HashSet;

/// One host.
#[derive(Debug)]
pub struct HostScreen {
    /// Name of the host.
    pub host: Name,
    /// The last finished jobs, newest first.
    pub entries: Vec<HistoryEntry>,
    /// State of the history query.
    pub history: HistoryState,
    /// The line that keys act on; always visible.
    pub selected: Option<Item>,
    /// Index of the first visible line.
    pub top: usize,
}

/// State of the history query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HistoryState {
    /// The query was sent.
    Loading,
    /// The host has replied.
    Loaded,
    /// The listener is too old for this query.
    Unsupported,
    /// The host did not answer.
    NoAnswer,
    /// The query could not be sent.
    Failed(String),
}

/// A line that can be selected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A failed unit, as the host named it.
    Unit(String),
    /// A past job.
    Job(Id),
}

impl HostScreen {
    /// Creates the screen before the history is known.
    pub fn new(host: Name) -> Self {
        Self { host, entries: Vec::new(), history: HistoryState::Loading, selected: None, top: 0 }
    }

    /// The selected past job.
    pub fn entry(&self) -> Option<&HistoryEntry> {
        let Some(Item::Job(id)) = &self.selected else { return None };
        self.entries.iter().find(|entry| entry.id == *id)
    }

    /// The selected failed unit, as the host named it.
    pub fn unit(&self) -> Option<&str> {
        match &self.selected {
            Some(Item::Unit(unit)) => Some(unit),
            _ => None,
        }
    }

    /// The selected job, or else the running or last job of the host.
    pub fn job(&self, fleet: &Fleet) -> Option<Id> {
        let present = || fleet.hosts.get(&self.host)?.job.as_ref()?.id.clone();
        self.entry().map(|entry| entry.id.clone()).or_else(present)
    }

    /// Stores the reply to the history query. Without a reply, the previous history stays.
    pub(in crate::tui) fn set_history(&mut self, reply: Result<Reply<Vec<HistoryEntry>>, String>) {
        self.history = match reply {
            Ok(Reply::Ok(mut entries)) => {
                // Ids must be unique, because the selection is an id.
                let mut known = HashSet::new();
                entries.retain(|entry| known.insert(entry.id.clone()));
                self.entries = entries;
                HistoryState::Loaded
            }
            Ok(Reply::Unsupported) => HistoryState::Unsupported,
            Ok(Reply::NoAnswer) => HistoryState::NoAnswer,
            Err(reason) => HistoryState::Failed(reason),
        };
    }
}
