//! The deploy request: *do* something on a host.

use super::report::cut_text;
use super::wire::{self, WireError};
use super::{
    Action, Destination, ErrorCode, Id, MAX_MESSAGE, OnFailure, ReplyTo, Revision, is_commit, reason,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A request to change a host. `action`, `revision` and `reply_to` are the base format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployRequest {
    /// What to do.
    pub action: Action,
    /// Branch, tag or full commit; a mere label where `commit` is given.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "wire::empty_as_none")]
    pub revision: Option<Revision>,
    /// Where reports go: exactly `deploy.responses.<id>`.
    pub reply_to: ReplyTo,
    /// Whether each host adds its name to `reply_to`, so that a NATS server can hold it to its own name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_per_host: Option<bool>,
    /// The deployment; the last token of `reply_to` where a base operator named none.
    pub id: Id,
    /// When it was sent, by the operator's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_at: Option<Timestamp>,
    /// The latest moment to *begin*, by the operator's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Who asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Build exactly this commit: the operator has resolved `revision`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Lowers, never raises, the listener's own timeout, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_s: Option<u64>,
    /// Lowers, never raises, the listener's own limit of an activation, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activate_timeout_s: Option<u64>,
    /// What to do about failed units and health checks; absent means `rollback`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<OnFailure>,
    /// Why, for `hold`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Which job, for `cancel`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<Id>,
    /// Which generation, for `rollback`; absent means the system before the last change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// Whether the commit may be older than the last one that the host deployed from its branch; absent means no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_older: Option<bool>,
}

/// A request that was refused, with as much of it as could be read, so that the refusal reaches its sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRequest {
    /// `invalid_request`, `invalid_action` or `invalid_revision`.
    pub code: ErrorCode,
    /// What is wrong, naming the field.
    pub message: String,
    /// Where to say so, where that could be read.
    pub reply_to: Option<Destination>,
    /// The deployment, where that could be read.
    pub id: Option<Id>,
    /// The action as it was sent.
    pub action: Option<Action>,
}

impl DeployRequest {
    /// A request with only the base fields.
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
        }
    }

    /// Where its hosts' reports go.
    pub fn destination(&self) -> Destination {
        Destination { reply_to: self.reply_to.clone(), per_host: self.reply_per_host == Some(true) }
    }

    /// The JSON of the request, under [`MAX_MESSAGE`]: long texts are cut.
    pub fn encode(&self) -> Vec<u8> {
        let bytes = wire::to_bytes(self);
        if bytes.len() < MAX_MESSAGE {
            return bytes;
        }
        let mut request = self.clone();
        cut_text(&mut request.issuer, 512);
        cut_text(&mut request.reason, 2 * 1024);
        wire::to_bytes(&request)
    }

    /// Reads and checks a request.
    pub fn parse(payload: &[u8]) -> Result<Self, Box<BadRequest>> {
        let mut fields = wire::object(payload).map_err(|error| Box::new(BadRequest::unreadable(&error)))?;
        let seen = BadRequest::seen(&fields);
        let refuse = |code, message| Err(Box::new(BadRequest { code, message, ..seen.clone() }));
        let reply_to = fields.get("reply_to").filter(|value| !value.is_null());
        match reply_to.map(|value| value.as_str().map(ReplyTo::parse)) {
            None => return refuse(ErrorCode::InvalidRequest, "`reply_to` is missing".to_owned()),
            Some(None) => return refuse(ErrorCode::InvalidRequest, "`reply_to` is not a text".to_owned()),
            Some(Some(Err(error))) => {
                return refuse(ErrorCode::InvalidRequest, format!("bad `reply_to`: {error}"));
            }
            Some(Some(Ok(reply_to))) if reply_to.is_for_answers() => {
                let message = "bad `reply_to`: reports go to `deploy.responses.<id>`".to_owned();
                return refuse(ErrorCode::InvalidRequest, message);
            }
            Some(Some(Ok(reply_to))) => {
                if fields.get("id").is_none_or(Value::is_null) {
                    fields.insert("id".to_owned(), Value::from(reply_to.id().as_str()));
                }
            }
        }
        let request: Self = match wire::from_value(Value::Object(fields)) {
            Ok(request) => request,
            Err(WireError::BadField { path, why }) if path == "revision" => {
                return refuse(ErrorCode::InvalidRevision, why);
            }
            Err(error) => return refuse(ErrorCode::InvalidRequest, error.to_string()),
        };
        match request.check() {
            Ok(()) => Ok(request),
            Err((code, message)) => refuse(code, message),
        }
    }

    /// The rules that tie fields together.
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
        if self.action == Action::Hold
            && let Err(error) = reason(self.reason.as_deref().unwrap_or_default())
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
            return bad("bad field `on_failure`: it is `rollback` or `keep`");
        }
        Ok(())
    }
}

impl BadRequest {
    fn unreadable(error: &WireError) -> Self {
        let code = ErrorCode::InvalidRequest;
        Self { code, message: error.to_string(), reply_to: None, id: None, action: None }
    }

    /// What can be told of a request before it is known to be good.
    fn seen(fields: &Map<String, Value>) -> Self {
        let text = |key: &str| fields.get(key).and_then(Value::as_str);
        let reply_to =
            text("reply_to").and_then(|s| ReplyTo::parse(s).ok()).filter(|reply| !reply.is_for_answers());
        let id =
            text("id").and_then(|id| Id::new(id).ok()).or_else(|| reply_to.as_ref().map(|r| r.id().clone()));
        let per_host = fields.get("reply_per_host") == Some(&Value::Bool(true));
        let reply_to = reply_to.map(|reply_to| Destination { reply_to, per_host });
        let action = text("action").map(Action::from);
        Self { code: ErrorCode::InvalidRequest, message: String::new(), reply_to, id, action }
    }
}
