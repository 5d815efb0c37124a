//! The label values of all series: every combination of status, action and error that this version can produce.

use crate::protocol::{Action, DeployReport, ErrorCode, PhaseName, PhaseState, Status};
use std::borrow::Cow;

/// A label value of this version, or of a newer version whose file we read.
pub(super) type LabelValue = Cow<'static, str>;
/// Status, action and error; the error is empty if there is none.
pub(super) type ResultLabels = (LabelValue, LabelValue, LabelValue);

/// The value for unknown strings, so that requests cannot create new series.
const UNKNOWN: LabelValue = Cow::Borrowed("unknown");

/// The actions that create jobs. Holds and releases complete at once, and a cancel counts through the job that it
/// cancels.
const JOB_ACTIONS: [Action; 7] = [
    Action::Switch,
    Action::Boot,
    Action::Test,
    Action::DryActivate,
    Action::Build,
    Action::Rollback,
    Action::Reboot,
];

/// Errors with which any job can fail.
const JOB_FAILURES: [ErrorCode; 6] = [
    ErrorCode::Timeout,
    ErrorCode::Cancelled,
    ErrorCode::Unhealthy,
    ErrorCode::Interrupted,
    ErrorCode::Internal,
    ErrorCode::ActivationFailed,
];
/// Additional errors of jobs that start from a revision.
const REVISION_FAILURES: [ErrorCode; 4] = [
    ErrorCode::InvalidRevision,
    ErrorCode::SourceUnreachable,
    ErrorCode::EvaluationFailed,
    ErrorCode::BuildFailed,
];
/// Additional errors of jobs that concern a system. They include build-only jobs, because an external command may fail
/// in any phase.
const SYSTEM_FAILURES: [ErrorCode; 4] = [
    ErrorCode::CheckRefused,
    ErrorCode::VerificationFailed,
    ErrorCode::PersistFailed,
    ErrorCode::RollbackFailed,
];
/// Errors with which any request can be refused.
const ANY_REFUSAL: [ErrorCode; 7] = [
    ErrorCode::InvalidRequest,
    ErrorCode::InvalidRevision,
    ErrorCode::InvalidAction,
    ErrorCode::Expired,
    ErrorCode::AlreadyRunning,
    ErrorCode::Held,
    ErrorCode::NotPermitted,
];
/// Additional errors with which these actions can be refused.
const CANCEL_REFUSALS: [ErrorCode; 2] = [ErrorCode::TooLate, ErrorCode::NotFound];
const HOLD_REFUSALS: [ErrorCode; 1] = [ErrorCode::Unhealthy];

/// The label values of all phases.
pub(super) fn phase_labels() -> impl Iterator<Item = LabelValue> {
    PhaseName::ALL.iter().map(|phase| Cow::Borrowed(phase.as_str()))
}

/// Action and success of all jobs with a duration.
pub(super) fn duration_labels() -> impl Iterator<Item = (LabelValue, LabelValue)> {
    JOB_ACTIONS.iter().flat_map(|job| {
        ["true", "false"].map(|success| (label_value(Some(job), Action::ALL), success.into()))
    })
}

/// All possible results.
pub(super) fn result_labels() -> Vec<ResultLabels> {
    let mut all = Vec::new();
    for action in JOB_ACTIONS {
        all.push(labels_for(&Status::Completed, Some(&action), None));
        let revision = if action.needs_revision() { &REVISION_FAILURES[..] } else { &[] };
        let system = if action == Action::Reboot { &[] } else { &SYSTEM_FAILURES[..] };
        let missing = (action == Action::Rollback).then_some(ErrorCode::NotFound);
        for error in JOB_FAILURES.iter().chain(revision).chain(system).chain(&missing) {
            all.push(labels_for(&Status::Failed, Some(&action), Some(error)));
        }
    }
    for action in [Action::Hold, Action::Release] {
        all.push(labels_for(&Status::Completed, Some(&action), None));
    }
    for action in Action::ALL.iter().map(Some).chain([None]) {
        for error in ANY_REFUSAL
            .iter()
            .filter(|error| is_possible_refusal(action, error))
            .chain(other_refusals(action))
        {
            all.push(labels_for(&Status::Rejected, action, Some(error)));
        }
    }
    all
}

/// Whether a request can be refused with this error: hold, release and cancel work even if the host is held or busy.
fn is_possible_refusal(action: Option<&Action>, error: &ErrorCode) -> bool {
    let busy = matches!(error, ErrorCode::AlreadyRunning | ErrorCode::Held);
    !busy || action.is_some_and(Action::creates_job)
}

fn other_refusals(action: Option<&Action>) -> &'static [ErrorCode] {
    match action {
        Some(Action::Cancel) => &CANCEL_REFUSALS,
        Some(Action::Hold | Action::Release) => &HOLD_REFUSALS,
        _ => &[],
    }
}

/// The labels of a request's result.
pub(super) fn result_labels_of(report: &DeployReport) -> ResultLabels {
    labels_for(&report.status, report.action.as_ref(), report.error.as_ref())
}

/// The labels of a job's duration.
pub(super) fn duration_labels_of(report: &DeployReport) -> (LabelValue, LabelValue) {
    let success = if report.status == Status::Completed { "true" } else { "false" };
    (label_value(report.action.as_ref(), Action::ALL), success.into())
}

/// The completed or failed phases of a job with their durations in milliseconds.
pub(super) fn phase_durations(report: &DeployReport) -> impl Iterator<Item = (LabelValue, u64)> {
    let ran = report.phases.0.iter().filter(|phase| {
        phase.name.is_known() && matches!(phase.state, PhaseState::Done | PhaseState::Failed)
    });
    ran.map(|phase| (label_value(Some(&phase.name), PhaseName::ALL), phase.elapsed_ms))
}

/// Whether an action changes the running system or the one of the next boot.
pub(super) fn changes_system(action: &Action) -> bool {
    matches!(action, Action::Switch | Action::Boot | Action::Test | Action::Rollback)
}

fn labels_for(status: &Status, action: Option<&Action>, error: Option<&ErrorCode>) -> ResultLabels {
    let error = error.map_or(Cow::Borrowed(""), |error| label_value(Some(error), ErrorCode::ALL));
    (label_value(Some(status), Status::ALL), label_value(action, Action::ALL), error)
}

fn label_value<W: PartialEq + AsRef<str>>(value: Option<&W>, all: &'static [W]) -> LabelValue {
    let known = all.iter().find(|known| Some(*known) == value);
    known.map_or(UNKNOWN, |known| Cow::Borrowed(known.as_ref()))
}
