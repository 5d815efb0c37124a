//! The screen of one host: what is selected there, and what the host has told of its past.

use crate::deployer::Told;
use crate::fleet::Fleet;
use crate::protocol::{HistoryEntry, Id, Name};
use std::collections::HashSet;

/// One host.
#[derive(Debug)]
pub struct HostScreen {
    /// Which.
    pub host: Name,
    /// The jobs that ended last, newest first.
    pub entries: Vec<HistoryEntry>,
    /// How that list stands.
    pub history: HistoryState,
    /// What keys act on; always in view.
    pub selected: Option<Item>,
    /// The first line in view.
    pub top: usize,
}

/// How the list of past jobs stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HistoryState {
    /// It was asked for.
    Asked,
    /// It is as the host told it.
    Told,
    /// The listener is too old for the question.
    TooOld,
    /// The host did not answer.
    Silent,
    /// The host could not be asked.
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
    /// A host of whose past nothing is known yet.
    pub fn new(host: Name) -> Self {
        Self { host, entries: Vec::new(), history: HistoryState::Asked, selected: None, top: 0 }
    }

    /// The past job that is selected.
    pub fn entry(&self) -> Option<&HistoryEntry> {
        let Some(Item::Job(id)) = &self.selected else { return None };
        self.entries.iter().find(|entry| entry.id == *id)
    }

    /// The failed unit that is selected, as the host named it.
    pub fn unit(&self) -> Option<&str> {
        match &self.selected {
            Some(Item::Unit(unit)) => Some(unit),
            _ => None,
        }
    }

    /// The job that is meant: the selected one, else the host's running or last one.
    pub fn job(&self, fleet: &Fleet) -> Option<Id> {
        let present = || fleet.hosts.get(&self.host)?.job.as_ref()?.id.clone();
        self.entry().map(|entry| entry.id.clone()).or_else(present)
    }

    /// Takes what the host has told. What it told before stays where it tells nothing now.
    pub(in crate::tui) fn take(&mut self, told: Result<Told<Vec<HistoryEntry>>, String>) {
        self.history = match told {
            Ok(Told::Answer(mut entries)) => {
                // The selection follows the id.
                let mut known = HashSet::new();
                entries.retain(|entry| known.insert(entry.id.clone()));
                self.entries = entries;
                HistoryState::Told
            }
            Ok(Told::TooOld) => HistoryState::TooOld,
            Ok(Told::Silent) => HistoryState::Silent,
            Err(reason) => HistoryState::Failed(reason),
        };
    }
}
