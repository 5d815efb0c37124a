//! The record of an order on disk.

use crate::protocol::{BuildReport, Id, Name, Revision};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// How long an id is remembered, an unfinished order is taken up again, and an untold verdict is told again.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(24);

/// An order as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) id: Id,
    /// The last token of where its reports go.
    pub(super) reply_to: Id,
    pub(super) repo: Name,
    /// A host, or `all`.
    pub(super) target: String,
    pub(super) branch: Revision,
    #[serde(default)]
    pub(super) issuer: Option<String>,
    pub(super) accepted_at: Timestamp,
    /// The commit, once the branch was looked up: after a restart exactly this one is built.
    #[serde(default)]
    pub(super) commit: Option<String>,
    /// The last report that was written down; in the end the verdict.
    pub(super) report: BuildReport,
    /// When it came to its verdict.
    #[serde(default)]
    pub(super) ended_at: Option<Timestamp>,
    /// Whether the verdict is known to have reached the server.
    #[serde(default)]
    pub(super) told: bool,
}

impl Record {
    pub(super) fn is_final(&self) -> bool {
        self.report.status.is_final()
    }

    /// Whether it is too old to be of use to anybody.
    pub(super) fn is_past(&self, now: Timestamp) -> bool {
        now.duration_since(self.ended_at.unwrap_or(self.accepted_at)) > REMEMBERED
    }

    /// Whether its verdict is still to be told.
    pub(super) fn is_owed(&self, now: Timestamp) -> bool {
        self.is_final() && !self.told && !self.is_past(now)
    }
}
