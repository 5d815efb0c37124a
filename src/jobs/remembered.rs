//! What is remembered of a job. Of one that is old and told, its report lies on disk alone.

use super::{JobFolder, Record};
use crate::protocol::{Action, DeployReport, Id, Name, ReplyTo, SharedText, Status};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;

/// How long an accepted id is remembered, and an untold verdict is told again.
pub(super) const REMEMBERED: SignedDuration = SignedDuration::from_hours(24);

/// What is remembered of a job.
#[derive(Debug, Clone)]
pub struct Remembered {
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// Where its reports go.
    pub reply_to: ReplyTo,
    /// Whether its last report is known to have reached the server.
    pub sent: bool,
    /// What it was about.
    pub outline: Outline,
    /// Its last report, unless that is to be read from its record.
    report: Option<Arc<DeployReport>>,
}

/// A job in short, as its last report tells it.
#[derive(Debug, Clone)]
pub struct Outline {
    /// How it stands or ended.
    pub status: Status,
    /// What was asked for.
    pub action: Option<Action>,
    /// The store path of its system.
    pub system: Option<SharedText>,
    /// The revision that was asked for.
    pub revision: Option<SharedText>,
    /// The commit that was deployed.
    pub commit: Option<SharedText>,
    /// The generation that it made.
    pub generation: Option<u64>,
    hostname: Name,
}

impl Remembered {
    /// What to remember of a record; `sent` is whether its verdict is known to have arrived.
    pub(super) fn new(record: &Record, sent: bool) -> Self {
        let report = &record.report;
        Self {
            accepted_at: record.accepted_at,
            reply_to: record.request.reply_to.clone(),
            sent,
            outline: Outline {
                status: report.status.clone(),
                action: report.action.clone(),
                system: report.system.clone(),
                revision: report.revision.clone(),
                commit: report.commit.clone(),
                generation: report.generation,
                hostname: report.hostname.clone(),
            },
            report: Some(Arc::new(report.clone())),
        }
    }

    /// Its last report. One whose record is damaged by now is told in short.
    pub(super) fn report(&self, id: &Id, folder: &JobFolder) -> Arc<DeployReport> {
        if let Some(report) = &self.report {
            return report.clone();
        }
        Arc::new(folder.record().map_or_else(
            |error| {
                tracing::warn!(%id, %error, "the report of an old job cannot be read");
                self.in_short(id)
            },
            |record| record.report,
        ))
    }

    fn in_short(&self, id: &Id) -> DeployReport {
        let outline = self.outline.clone();
        DeployReport {
            id: Some(id.clone()),
            action: outline.action,
            system: outline.system,
            revision: outline.revision,
            commit: outline.commit,
            generation: outline.generation,
            ..DeployReport::new(outline.hostname, outline.status, "its record can no longer be read")
        }
    }

    /// Leaves the report to its record, once nobody waits for it any more.
    pub(super) fn forget_report(&mut self) {
        if self.sent && self.outline.status.is_final() {
            self.report = None;
        }
    }

    /// Whether the verdict is still to be told: final, not known to have arrived, and not older than a day.
    pub fn is_owed(&self, now: Timestamp) -> bool {
        self.outline.status.is_final() && !self.sent && now.duration_since(self.accepted_at) < REMEMBERED
    }
}
