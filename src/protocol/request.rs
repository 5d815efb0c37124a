//! Deploy requests: change something on a host.

use super::codec::{self, WireError};
use super::open_enum::open_enum;
use super::report::truncate_string;
use super::{Action, Destination, ErrorCode, Id, MAX_ENCODED, Name, ReplyTo, Revision, is_commit};
use crate::text::printable;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The lifetime of an operator's request: its job or build must start within this time after it was sent.
pub const REQUEST_LIFETIME: SignedDuration = SignedDuration::from_mins(1);

/// The maximum number of services in a request.
pub const MAX_SERVICES: usize = 200;

/// A request to change a host. `action`, `revision` and `reply_to` are the base format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployRequest {
    /// The requested action.
    pub action: Action,
    /// A branch, tag or full commit; only a label if `commit` is present.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "codec::empty_as_none")]
    pub revision: Option<Revision>,
    /// The subject of the reports: exactly `deploy.responses.<id>`.
    pub reply_to: ReplyTo,
    /// Whether each host appends its name to `reply_to`, so that the NATS server can restrict it to its own name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_per_host: Option<bool>,
    /// The id of the deployment. A base operator sends none; it is then the last token of `reply_to`.
    pub id: Id,
    /// When the request was sent, by the operator's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_at: Option<Timestamp>,
    /// When the job must have started, by the operator's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// The name of the sender, for display; it is not verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The exact commit to build, if the operator has already resolved `revision`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The timeout of the phases before activation, in seconds. It can only lower the listener's own timeout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_s: Option<u64>,
    /// The timeout of the activation, in seconds. It can only lower the listener's own timeout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activate_timeout_s: Option<u64>,
    /// The reaction to failed units and failed health checks; if absent, `rollback`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<OnFailure>,
    /// The reason, for `hold`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The id of the job to stop, for `cancel`, or to continue, for `resume`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<Id>,
    /// The generation, for `rollback`; if absent, the system before the last change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// Whether the commit may be older than the last one that was deployed from its branch; if absent, it may not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_older: Option<bool>,
    /// The services that the job is about; empty for all. Only for hosts that list them as their components: another
    /// listener ignores the field and deploys everything.
    #[serde(default, deserialize_with = "codec::list", skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<Name>,
    /// Whether services that are not assigned to the host any more are removed; if absent, they are only reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prune: Option<bool>,
}

/// A rejected request, with the fields that could be parsed, so that the sender can be informed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedRequest {
    /// `invalid_request`, `invalid_action` or `invalid_revision`.
    pub code: ErrorCode,
    /// Why the request is rejected, with the name of the field.
    pub message: String,
    /// The destination of the rejection, if it could be parsed.
    pub reply_to: Option<Destination>,
    /// The id of the deployment, if it could be parsed.
    pub id: Option<Id>,
    /// The action as sent, if it is a string.
    pub action: Option<Action>,
}

impl DeployRequest {
    /// Creates a request with only the base fields.
    pub fn new(action: Action, revision: Option<Revision>, id: Id) -> Self {
        Self {
            action,
            revision,
            reply_to: ReplyTo::reports(id.clone()),
            reply_per_host: None,
            id,
            issued_at: None,
            expires_at: None,
            issuer: None,
            commit: None,
            timeout_s: None,
            activate_timeout_s: None,
            on_failure: None,
            reason: None,
            job: None,
            generation: None,
            allow_older: None,
            services: Vec::new(),
            prune: None,
        }
    }

    /// The destination of the reports.
    pub fn destination(&self) -> Destination {
        Destination { reply_to: self.reply_to.clone(), per_host: self.reply_per_host == Some(true) }
    }

    /// Encodes the request as JSON, in less than [`MAX_ENCODED`] bytes: long strings are truncated.
    pub fn encode(&self) -> Vec<u8> {
        let bytes = codec::to_bytes(self);
        if bytes.len() < MAX_ENCODED {
            return bytes;
        }
        let mut request = self.clone();
        truncate_string(&mut request.issuer, 512);
        truncate_string(&mut request.reason, 2 * 1024);
        codec::to_bytes(&request)
    }

    /// Parses and validates a request.
    pub fn parse(payload: &[u8]) -> Result<Self, Box<RejectedRequest>> {
        let mut fields =
            codec::object(payload).map_err(|error| Box::new(RejectedRequest::unreadable(&error)))?;
        let partial = RejectedRequest::from_fields(&fields);
        let refuse = |code, message| Err(Box::new(RejectedRequest { code, message, ..partial.clone() }));
        let reply_to = fields.get("reply_to").filter(|value| !value.is_null());
        match reply_to.map(|value| value.as_str().map(ReplyTo::parse)) {
            None => return refuse(ErrorCode::InvalidRequest, "`reply_to` is missing".to_owned()),
            Some(None) => return refuse(ErrorCode::InvalidRequest, "`reply_to` is not a string".to_owned()),
            Some(Some(Err(error))) => {
                return refuse(ErrorCode::InvalidRequest, format!("bad `reply_to`: {error}"));
            }
            Some(Some(Ok(reply_to))) if reply_to.is_for_replies() => {
                let message = "bad `reply_to`: reports go to `deploy.responses.<id>`".to_owned();
                return refuse(ErrorCode::InvalidRequest, message);
            }
            Some(Some(Ok(reply_to))) => {
                if fields.get("id").is_none_or(Value::is_null) {
                    fields.insert("id".to_owned(), Value::from(reply_to.id().as_str()));
                }
            }
        }
        let request: Self = match codec::from_value(Value::Object(fields)) {
            Ok(request) => request,
            Err(WireError::BadField { path, reason }) if path == "revision" => {
                return refuse(ErrorCode::InvalidRevision, reason);
            }
            Err(error) => return refuse(ErrorCode::InvalidRequest, error.to_string()),
        };
        match request.check() {
            Ok(()) => Ok(request),
            Err((code, message)) => refuse(code, message),
        }
    }

    /// Checks the rules between fields.
    fn check(&self) -> Result<(), (ErrorCode, String)> {
        let bad = |message: &str| Err((ErrorCode::InvalidRequest, message.to_owned()));
        if !self.action.is_known() {
            return Err((ErrorCode::InvalidAction, format!("unknown action {:?}", self.action.as_str())));
        }
        if self.action.needs_revision() && self.revision.is_none() {
            let message = format!("`{}` needs a `revision`: a branch, tag or full commit", self.action);
            return Err((ErrorCode::InvalidRevision, message));
        }
        if self.commit.as_deref().is_some_and(|commit| !is_commit(commit)) {
            return bad("bad field `commit`: it must be 40 lower-case hexadecimal digits");
        }
        if self.action == Action::Cancel && self.job.is_none() {
            return bad("bad field `job`: `cancel` must name the job to stop");
        }
        if self.action == Action::Resume && self.job.is_none() {
            return bad("bad field `job`: `resume` must name the job to continue");
        }
        if !self.services.is_empty() && !self.action.takes_services() {
            return bad(&format!(
                "bad field `services`: `{}` is always about the complete host",
                self.action
            ));
        }
        if self.services.len() > MAX_SERVICES {
            return bad(&format!("bad field `services`: expected at most {MAX_SERVICES} services"));
        }
        if self.prune == Some(true) && !self.action.takes_prune() {
            return bad(&format!("bad field `prune`: `{}` removes no services", self.action));
        }
        if self.action == Action::Hold
            && let Err(error) = check_hold_reason(self.reason.as_deref().unwrap_or_default())
        {
            return bad(&format!("bad field `reason`: {error}"));
        }
        if self.timeout_s == Some(0) {
            return bad("bad field `timeout_s`: it must be at least 1 second");
        }
        if self.activate_timeout_s == Some(0) {
            return bad("bad field `activate_timeout_s`: it must be at least 1 second");
        }
        if self.on_failure.as_ref().is_some_and(|choice| !choice.is_known()) {
            return bad("bad field `on_failure`: expected `rollback` or `keep`");
        }
        Ok(())
    }
}

impl RejectedRequest {
    fn unreadable(error: &WireError) -> Self {
        let code = ErrorCode::InvalidRequest;
        Self { code, message: error.to_string(), reply_to: None, id: None, action: None }
    }

    /// Extracts the fields that are valid on their own.
    fn from_fields(fields: &Map<String, Value>) -> Self {
        let text = |key: &str| fields.get(key).and_then(Value::as_str);
        let reply_to =
            text("reply_to").and_then(|s| ReplyTo::parse(s).ok()).filter(|reply| !reply.is_for_replies());
        let id =
            text("id").and_then(|id| Id::new(id).ok()).or_else(|| reply_to.as_ref().map(|r| r.id().clone()));
        let per_host = fields.get("reply_per_host") == Some(&Value::Bool(true));
        let reply_to = reply_to.map(|reply_to| Destination { reply_to, per_host });
        let action = text("action").map(Action::from);
        Self { code: ErrorCode::InvalidRequest, message: String::new(), reply_to, id, action }
    }
}

open_enum! {
    /// The reaction to failed units and failed health checks. A lost connection always causes a rollback.
    OnFailure {
        /// Roll back to the previous system; the default.
        Rollback = "rollback",
        /// Keep the new system running.
        Keep = "keep",
    }
}

/// The maximum length of a reason, in characters. It is part of every presence message of a held host.
pub const MAX_HOLD_REASON: usize = 300;

/// An invalid hold reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HoldReasonError {
    /// The reason has no visible characters.
    #[error("the hold reason is empty: give a reason of at most {MAX_HOLD_REASON} characters")]
    Empty,
    /// The reason exceeds the maximum length.
    #[error("the hold reason has {0} characters: give a reason of at most {MAX_HOLD_REASON} characters")]
    TooLong(usize),
}

/// Checks a reason, and returns it without surrounding whitespace.
pub fn check_hold_reason(text: &str) -> Result<&str, HoldReasonError> {
    let text = text.trim();
    match text.chars().count() {
        _ if printable(text).trim().is_empty() => Err(HoldReasonError::Empty),
        length if length > MAX_HOLD_REASON => Err(HoldReasonError::TooLong(length)),
        _ => Ok(text),
    }
}
