//! Admission of requests: a pure decision from what the listener knows.

use crate::clock::expired;
use crate::protocol::{Action, DeployReport, DeployRequest, ErrorCode, Id, Status};
use jiff::Timestamp;
use std::sync::Arc;

/// The decision about one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// Start the job.
    Accept,
    /// The id is known: reply with that job's report and start nothing.
    Repeat(Arc<DeployReport>),
    /// Hold or release the host, even while a job runs.
    Hold,
    /// Cancel the running job.
    Cancel,
    /// Reply to a cancel of a job that does not run: `Ok` if that job was cancelled.
    Cancelled(Result<String, (ErrorCode, String)>),
    /// Reject the request with this error and message.
    Reject(ErrorCode, String),
}

/// Decides about `request`. `known` looks up a job's last report, `running` is the id of the running job, `can` reports
/// whether this listener supports an action, `has_services` is whether it deploys single services, and `held` is the
/// error message if the host is held.
pub fn admit(
    request: &DeployRequest,
    now: Timestamp,
    known: impl Fn(&Id) -> Option<Arc<DeployReport>>,
    running: Option<&Id>,
    can: impl Fn(&Action) -> bool,
    has_services: bool,
    held: Option<String>,
) -> Admission {
    if let Some(report) = known(&request.id) {
        return Admission::Repeat(report);
    }
    if let Some(message) = expired(request.expires_at, now) {
        return Admission::Reject(ErrorCode::Expired, message);
    }
    if let Some(job) = request.job.as_ref().filter(|_| request.action == Action::Cancel) {
        if running == Some(job) {
            return Admission::Cancel;
        }
        return Admission::Cancelled(match known(job) {
            None => Err((ErrorCode::NotFound, format!("this host has no job {job}"))),
            Some(report) if report.error == Some(ErrorCode::Cancelled) => {
                Ok(format!("job {job} was already cancelled"))
            }
            Some(report) => {
                Err((ErrorCode::TooLate, format!("job {job} has already ended: {}", report.status)))
            }
        });
    }
    if !can(&request.action) {
        let message = format!("this listener does not support the action `{}`", request.action);
        return Admission::Reject(ErrorCode::InvalidAction, message);
    }
    // Without these fields, the request would be about the complete host.
    if !has_services && (!request.services.is_empty() || request.prune == Some(true)) {
        let message = "this host has no services that can be deployed alone".to_owned();
        return Admission::Reject(ErrorCode::InvalidRequest, message);
    }
    if matches!(request.action, Action::Hold | Action::Release) {
        return Admission::Hold;
    }
    if let Some(message) = held {
        return Admission::Reject(ErrorCode::Held, message);
    }
    if let Some(job) = running {
        return Admission::Reject(ErrorCode::AlreadyRunning, format!("job {job} is running on this host"));
    }
    if let Some(job) = request.job.as_ref().filter(|_| request.action == Action::Resume) {
        match known(job) {
            None => return Admission::Reject(ErrorCode::NotFound, format!("this host has no job {job}")),
            Some(report) if report.status != Status::Failed => {
                let message =
                    format!("job {job} is {}: only a job that failed can be continued", report.status);
                return Admission::Reject(ErrorCode::InvalidRequest, message);
            }
            Some(_) => {}
        }
    }
    Admission::Accept
}
