//! Which series there are: every combination of status, action and error that a listener of this version can come to.

use crate::protocol::{Action, DeployReport, ErrorCode, PhaseName, PhaseState, Status};
use std::borrow::Cow;

/// A word of ours, or of a newer version whose file we read.
pub(super) type Word = Cow<'static, str>;
/// Status, action and error; no error is the empty word.
pub(super) type Ending = (Word, Word, Word);

/// What stands for a word that this version does not know: whoever sends requests must not make series.
const UNKNOWN: Word = Cow::Borrowed("unknown");

/// The actions that are jobs. Of the others a hold and a release complete at once, and a cancel is counted as what becomes of
/// its job.
const JOBS: [Action; 7] = [
    Action::Switch,
    Action::Boot,
    Action::Test,
    Action::DryActivate,
    Action::Build,
    Action::Rollback,
    Action::Reboot,
];

/// Why any job may fail.
const ANY: [ErrorCode; 6] = [
    ErrorCode::Timeout,
    ErrorCode::Cancelled,
    ErrorCode::Unhealthy,
    ErrorCode::Interrupted,
    ErrorCode::Internal,
    ErrorCode::ActivationFailed,
];
/// Why a job may fail that begins with a revision.
const OF_A_REVISION: [ErrorCode; 4] = [
    ErrorCode::InvalidRevision,
    ErrorCode::SourceUnreachable,
    ErrorCode::EvaluationFailed,
    ErrorCode::BuildFailed,
];
/// Why a job may fail that is about a system. Also where it only builds: a rebuild program may fail in any phase.
const OF_A_SYSTEM: [ErrorCode; 4] = [
    ErrorCode::CheckRefused,
    ErrorCode::VerificationFailed,
    ErrorCode::PersistFailed,
    ErrorCode::RollbackFailed,
];
/// Why any request may be refused.
const REFUSED: [ErrorCode; 7] = [
    ErrorCode::InvalidRequest,
    ErrorCode::InvalidRevision,
    ErrorCode::InvalidAction,
    ErrorCode::Expired,
    ErrorCode::AlreadyRunning,
    ErrorCode::Held,
    ErrorCode::NotPermitted,
];
/// Why these may be refused besides.
const CANCEL_REFUSED: [ErrorCode; 2] = [ErrorCode::TooLate, ErrorCode::NotFound];
const HOLD_REFUSED: [ErrorCode; 1] = [ErrorCode::Unhealthy];

/// The phases that are timed.
pub(super) fn phases() -> impl Iterator<Item = Word> {
    PhaseName::ALL.iter().map(|phase| Cow::Borrowed(phase.as_str()))
}

/// Action and success of every job that is timed.
pub(super) fn timed() -> impl Iterator<Item = (Word, Word)> {
    JOBS.iter()
        .flat_map(|job| ["true", "false"].map(|success| (word(Some(job), Action::ALL), success.into())))
}

/// Every ending that can come about.
pub(super) fn endings() -> Vec<Ending> {
    let mut all = Vec::new();
    for action in JOBS {
        all.push(ending(&Status::Completed, Some(&action), None));
        let revision = if action.needs_revision() { &OF_A_REVISION[..] } else { &[] };
        let system = if action == Action::Reboot { &[] } else { &OF_A_SYSTEM[..] };
        let missing = (action == Action::Rollback).then_some(ErrorCode::NotFound);
        for error in ANY.iter().chain(revision).chain(system).chain(&missing) {
            all.push(ending(&Status::Failed, Some(&action), Some(error)));
        }
    }
    for action in [Action::Hold, Action::Release] {
        all.push(ending(&Status::Completed, Some(&action), None));
    }
    for action in Action::ALL.iter().map(Some).chain([None]) {
        for error in REFUSED.iter().filter(|error| may_be(action, error)).chain(refused_besides(action)) {
            all.push(ending(&Status::Rejected, action, Some(error)));
        }
    }
    all
}

/// Whether a request may be refused so: whatever runs and whoever holds the host, it can be held, released and cancelled.
fn may_be(action: Option<&Action>, error: &ErrorCode) -> bool {
    let busy = matches!(error, ErrorCode::AlreadyRunning | ErrorCode::Held);
    !busy || action.is_some_and(Action::makes_job)
}

fn refused_besides(action: Option<&Action>) -> &'static [ErrorCode] {
    match action {
        Some(Action::Cancel) => &CANCEL_REFUSED,
        Some(Action::Hold | Action::Release) => &HOLD_REFUSED,
        _ => &[],
    }
}

/// How a request ended.
pub(super) fn of(report: &DeployReport) -> Ending {
    ending(&report.status, report.action.as_ref(), report.error.as_ref())
}

/// The same for its duration.
pub(super) fn timed_of(report: &DeployReport) -> (Word, Word) {
    let success = if report.status == Status::Completed { "true" } else { "false" };
    (word(report.action.as_ref(), Action::ALL), success.into())
}

/// The phases that a job went through and how long they took, in milliseconds.
pub(super) fn phases_of(report: &DeployReport) -> impl Iterator<Item = (Word, u64)> {
    let ran = report.phases.0.iter().filter(|phase| {
        phase.name.is_known() && matches!(phase.state, PhaseState::Done | PhaseState::Failed)
    });
    ran.map(|phase| (word(Some(&phase.name), PhaseName::ALL), phase.elapsed_ms))
}

/// Whether an action changes what runs on the host or what it boots.
pub(super) fn changes(action: &Action) -> bool {
    matches!(action, Action::Switch | Action::Boot | Action::Test | Action::Rollback)
}

fn ending(status: &Status, action: Option<&Action>, error: Option<&ErrorCode>) -> Ending {
    let error = error.map_or(Cow::Borrowed(""), |error| word(Some(error), ErrorCode::ALL));
    (word(Some(status), Status::ALL), word(action, Action::ALL), error)
}

fn word<W: PartialEq + AsRef<str>>(word: Option<&W>, all: &'static [W]) -> Word {
    let known = all.iter().find(|known| Some(*known) == word);
    known.map_or(UNKNOWN, |known| Cow::Borrowed(known.as_ref()))
}
