//! What is told of an order: pure, from its record and how its build stands.

use super::order::is_all;
use super::record::Record;
use super::stage::{End, Stage};
use crate::protocol::{BuildReport, BuildStatus, ErrorCode, PhaseState};

/// A report about nothing that was built yet, unstamped.
pub(super) fn plain(record: &Record, status: BuildStatus, message: impl Into<String>) -> BuildReport {
    BuildReport {
        repo: Some(record.repo.clone()),
        id: Some(record.id.clone()),
        commit: record.commit.clone(),
        expected: u64::from(!is_all(&record.target)),
        ..BuildReport::new(record.target.as_str(), status, message)
    }
}

/// An order that failed before anything was built.
pub(super) fn failed(record: &Record, error: ErrorCode, message: impl Into<String>) -> BuildReport {
    BuildReport { error: Some(error), ..plain(record, BuildStatus::Failed, message) }
}

/// How the build of an order stands, unstamped; final where it has ended for this order.
pub(super) fn of_stage(record: &Record, stage: &Stage) -> BuildReport {
    let mut report = match stage.end_of(&record.target) {
        None if stage.hosts.is_empty() && !is_all(&record.target) => {
            plain(record, BuildStatus::Progress, "begins to build")
        }
        None => plain(record, BuildStatus::Progress, stage.sentence()),
        Some(End { error: None, message }) => plain(record, BuildStatus::Completed, message),
        Some(End { error: Some(error), message }) => failed(record, error, message),
    };
    let mine = stage.hosts.iter().filter(|host| is_all(&record.target) || host.hostname == *record.target);
    report.hosts = mine.cloned().collect();
    let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    report.done = count(report.hosts.iter().filter(|host| host.state == PhaseState::Done).count());
    report.expected = report.expected.max(count(report.hosts.len()));
    report
}
