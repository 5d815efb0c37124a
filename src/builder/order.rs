//! An order: what one operator asked for, from being accepted to its verdict.

use super::record::Record;
use crate::nix::Locked;
use crate::protocol::{BuildReport, Id, Name};

/// Whether a target means every host.
pub(super) fn is_all(target: &str) -> bool {
    target == "all"
}

/// What is built: the same source for the same target is built once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) commit: String,
    /// A host, or `all`.
    pub(super) target: String,
}

impl Wanted {
    /// Whether building this builds the other as well.
    pub(super) fn covers(&self, other: &Self) -> bool {
        self.commit == other.commit && (self.target == other.target || is_all(&self.target))
    }
}

/// An order that has not ended.
#[derive(Debug, Clone)]
pub(super) struct Order {
    pub(super) record: Record,
    /// Once it is known which commit is meant.
    pub(super) locked: Option<Locked>,
}

impl Order {
    pub(super) fn new(record: Record) -> Self {
        Self { record, locked: None }
    }

    pub(super) fn id(&self) -> &Id {
        &self.record.id
    }

    pub(super) fn repo(&self) -> &Name {
        &self.record.repo
    }

    pub(super) fn report(&self) -> &BuildReport {
        &self.record.report
    }

    /// What is to be built, once that is known.
    pub(super) fn wanted(&self) -> Option<Wanted> {
        let commit = self.locked.as_ref()?.commit.clone()?;
        Some(Wanted { commit, target: self.record.target.clone() })
    }
}
