//! What a script does to the report of its job.

use super::script::{self, Beat};
use crate::activation::{Facts, Outcome, with_log};
use crate::protocol::{DeployReport, PhaseState, Status};

/// Notes what a beat tells.
pub(super) fn fold(report: &mut DeployReport, beat: &Beat) {
    match beat {
        Beat::Enter(phase) => {
            if report.phases.enter(phase) {
                phase.as_str().clone_into(&mut report.message);
            }
        }
        Beat::Progress(progress) => report.progress = Some(progress.clone()),
        Beat::Commit(commit) => report.commit = Some(commit.as_str().into()),
        Beat::System(system) => report.system = Some(system.as_str().into()),
        Beat::Generation(generation) => report.generation = Some(*generation),
        Beat::Changes(changes) => report.changes = Some(changes.clone()),
        Beat::FailedUnits(units) => report.failed_units.clone_from(units),
        Beat::Pause(_) | Beat::Say(_) | Beat::HandOver | Beat::Change(_) | Beat::Reboot => {}
    }
}

/// Writes the verdict.
pub(super) fn conclude(report: &mut DeployReport, outcome: &Outcome) {
    report.progress = None;
    match outcome {
        Ok(message) => {
            report.phases.end(&PhaseState::Done);
            report.status = Status::Completed;
            report.message.clone_from(message);
        }
        Err(failure) => {
            // What failed was marked when the rollback began.
            let went_back = failure.rolled_back == Some(true);
            report.phases.end(if went_back { &PhaseState::Done } else { &PhaseState::Failed });
            report.status = Status::Failed;
            report.error = Some(failure.code.clone());
            report.rolled_back = failure.rolled_back;
            report.message.clone_from(&failure.message);
        }
    }
}

/// What a failure leaves behind: the end of the log, the journal of what failed, what runs now, and how much room there is.
pub(super) fn diagnostics(report: &DeployReport, log_ends: &str, facts: &Facts) -> String {
    let host = report.hostname.as_str();
    let journal = |unit: &String| (unit.clone(), script::journal(host, unit).join("\n"));
    let journals: Vec<_> = report.failed_units.iter().map(journal).collect();
    with_log(log_ends.to_owned(), &journals, facts)
}
