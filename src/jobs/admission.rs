//! What becomes of a request: a pure decision over what this listener knows.

use crate::protocol::{Action, DeployReport, DeployRequest, ErrorCode, Id};
use jiff::Timestamp;
use std::sync::Arc;

/// The decision about one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// Begin the job.
    Accept,
    /// The id is known: tell how that job stands, and begin nothing.
    Repeat(Arc<DeployReport>),
    /// Hold or release the host, whatever runs.
    Hold,
    /// Ask the running job to stop.
    Cancel,
    /// Answer a cancel whose job has ended or never was: `Ok` where it was cancelled.
    Cancelled(Result<String, (ErrorCode, String)>),
    /// Refuse.
    Reject(ErrorCode, String),
}

/// Decides about `request`. `known` looks up a job's present report, `running` is the job that runs, `can` tells
/// whether this listener does an action, and `held` is what to say where the host is held.
pub fn admit(
    request: &DeployRequest,
    now: Timestamp,
    known: impl Fn(&Id) -> Option<Arc<DeployReport>>,
    running: Option<&Id>,
    can: impl Fn(&Action) -> bool,
    held: Option<String>,
) -> Admission {
    if let Some(report) = known(&request.id) {
        return Admission::Repeat(report);
    }
    if let Some(expires_at) = request.expires_at.filter(|expires_at| *expires_at < now) {
        let late = now.duration_since(expires_at).as_secs();
        let message = format!("the request expired {late} s ago by this host's clock, which says {now:.0}");
        return Admission::Reject(ErrorCode::Expired, message);
    }
    if let Some(job) = request.job.as_ref().filter(|_| request.action == Action::Cancel) {
        if running == Some(job) {
            return Admission::Cancel;
        }
        return Admission::Cancelled(match known(job) {
            None => Err((ErrorCode::NotFound, format!("this host knows no job {job}"))),
            Some(report) if report.error == Some(ErrorCode::Cancelled) => {
                Ok(format!("job {job} was cancelled before"))
            }
            Some(report) => {
                Err((ErrorCode::TooLate, format!("job {job} has ended as {} before", report.status)))
            }
        });
    }
    if !can(&request.action) {
        let message = format!("this listener cannot do `{}`", request.action);
        return Admission::Reject(ErrorCode::InvalidAction, message);
    }
    if matches!(request.action, Action::Hold | Action::Release) {
        return Admission::Hold;
    }
    if let Some(message) = held {
        return Admission::Reject(ErrorCode::Held, message);
    }
    if let Some(job) = running {
        return Admission::Reject(ErrorCode::AlreadyRunning, format!("job {job} runs on this host"));
    }
    Admission::Accept
}
