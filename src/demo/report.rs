//! Applies the events of a timeline to the report of its job.

use super::timeline::TimelineEvent;
use super::unit_changes::journal;
use crate::activation::{Facts, JobResult, format_diagnostics};
use crate::protocol::{DeployReport, PhaseState, Status};

/// Applies one event.
pub(super) fn apply(report: &mut DeployReport, event: &TimelineEvent) {
    match event {
        TimelineEvent::Enter(phase) => {
            if report.phases.enter(phase) {
                phase.as_str().clone_into(&mut report.message);
            }
        }
        TimelineEvent::Progress(progress) => report.progress = Some(Box::new(progress.clone())),
        TimelineEvent::Commit(commit) => report.commit = Some(commit.as_str().into()),
        TimelineEvent::System(system) => report.system = Some(system.as_str().into()),
        TimelineEvent::Generation(generation) => report.generation = Some(*generation),
        TimelineEvent::Changes(changes) => report.changes = Some(changes.clone()),
        TimelineEvent::FailedUnits(units) => report.failed_units.clone_from(units),
        TimelineEvent::Pause(_)
        | TimelineEvent::LogLine(_)
        | TimelineEvent::Handover
        | TimelineEvent::Change(_)
        | TimelineEvent::Reboot => {}
    }
}

/// Sets the result.
pub(super) fn finish(report: &mut DeployReport, outcome: &JobResult) {
    report.progress = None;
    match outcome {
        Ok(message) => {
            report.phases.end(&PhaseState::Done);
            report.status = Status::Completed;
            report.message.clone_from(message);
        }
        Err(failure) => {
            // The failed phase was already marked when the rollback started.
            let rolled_back = failure.rolled_back == Some(true);
            report.phases.end(if rolled_back { &PhaseState::Done } else { &PhaseState::Failed });
            report.status = Status::Failed;
            report.error = Some(failure.code.clone());
            report.rolled_back = failure.rolled_back;
            report.message.clone_from(&failure.message);
        }
    }
}

/// The diagnostics of a failure: end of the log, journals of failed units, running system and free space.
pub(super) fn diagnostics(report: &DeployReport, log_ends: &str, facts: &Facts) -> String {
    let host = report.hostname.as_str();
    let journal = |unit: &String| (unit.clone(), journal(host, unit).join("\n"));
    let journals: Vec<_> = report.failed_units.iter().map(journal).collect();
    format_diagnostics(log_ends.to_owned(), &journals, facts)
}
