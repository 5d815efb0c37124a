//! The record of a build job on disk, and the reports that are made from it.

use super::queue::is_all;
use super::state::{BuildState, RepoBuildResult};
use crate::protocol::{BuildReport, BuildStatus, ErrorCode, Id, Name, PhaseState, Revision};
use crate::state_dir::RETENTION;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tracing::Span;

/// A build job as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct BuildRecord {
    pub(super) id: Id,
    /// Last token of the reply subject.
    pub(super) reply_to: Id,
    pub(super) repo: Name,
    /// A host, or `all`.
    pub(super) target: String,
    pub(super) branch: Revision,
    #[serde(default)]
    pub(super) issuer: Option<String>,
    pub(super) accepted_at: Timestamp,
    /// The commit, once the branch is resolved. After a restart exactly this commit is built.
    #[serde(default)]
    pub(super) commit: Option<String>,
    /// The last saved report; in the end, the final report.
    pub(super) report: BuildReport,
    /// When the job finished.
    #[serde(default)]
    pub(super) ended_at: Option<Timestamp>,
    /// Whether the server has acknowledged the final report.
    #[serde(default)]
    pub(super) delivered: bool,
}

impl BuildRecord {
    /// The span of the build: every log line that is written in it shows these fields.
    pub(super) fn span(&self) -> Span {
        build_span(&self.id, Some(&self.repo), &self.target)
    }

    pub(super) fn is_final(&self) -> bool {
        self.report.status.is_final()
    }

    /// Whether the record is too old to be useful.
    pub(super) fn is_expired(&self, now: Timestamp) -> bool {
        now.duration_since(self.ended_at.unwrap_or(self.accepted_at)) > RETENTION
    }

    /// Whether its final report must still be delivered.
    pub(super) fn is_undelivered(&self, now: Timestamp) -> bool {
        self.is_final() && !self.delivered && !self.is_expired(now)
    }
}

/// A report without hosts and without sequence number.
pub(super) fn new_report(
    record: &BuildRecord,
    status: BuildStatus,
    message: impl Into<String>,
) -> BuildReport {
    BuildReport {
        repo: Some(record.repo.clone()),
        id: Some(record.id.clone()),
        commit: record.commit.clone(),
        expected: u64::from(!is_all(&record.target)),
        ..BuildReport::new(record.target.as_str(), status, message)
    }
}

/// A final report of a job that failed before anything was built.
pub(super) fn failed_report(
    record: &BuildRecord,
    error: ErrorCode,
    message: impl Into<String>,
) -> BuildReport {
    BuildReport { error: Some(error), ..new_report(record, BuildStatus::Failed, message) }
}

/// A report of the build state without sequence number. It is final if the build has finished for this job.
pub(super) fn report_of_state(record: &BuildRecord, state: &BuildState) -> BuildReport {
    let mut report = match state.result_for(&record.target) {
        None if state.hosts.is_empty() && !is_all(&record.target) => {
            new_report(record, BuildStatus::Progress, "starting build")
        }
        None => new_report(record, BuildStatus::Progress, state.describe()),
        Some(RepoBuildResult { error: None, message }) => new_report(record, BuildStatus::Completed, message),
        Some(RepoBuildResult { error: Some(error), message }) => failed_report(record, error, message),
    };
    let selected =
        state.hosts.iter().filter(|host| is_all(&record.target) || host.hostname == *record.target);
    report.hosts = selected.cloned().collect();
    let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    report.done = count(report.hosts.iter().filter(|host| host.state == PhaseState::Done).count());
    report.expected = report.expected.max(count(report.hosts.len()));
    report
}

/// The span of a build of `target`, which is a host or `all`.
pub(super) fn build_span(id: &Id, repo: Option<&Name>, target: &str) -> Span {
    let host = (!is_all(target)).then_some(target);
    let repo = repo.map(tracing::field::display);
    // Without a parent, because the span of the request has the same fields.
    tracing::info_span!(parent: None, "build", %id, repo, target, host, action = "build")
}
