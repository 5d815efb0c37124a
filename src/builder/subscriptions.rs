//! The builder's subscriptions: reads incoming requests and keeps what is needed to reject unreadable ones.

use super::config::BuildRules;
use crate::clock::now;
use crate::keys::{Recipient, SignatureRejection, verify_signer};
use crate::nats::{Client, NatsError, Received};
use crate::protocol::{
    BuildRequest, ErrorCode, Id, MAX_MESSAGE, Name, PublicKey, Purpose, WireError, build_report_subject,
};
use futures_util::stream::{BoxStream, SelectAll, StreamExt};
use serde_json::Value;
use std::future::ready;
use std::sync::Arc;

/// Subjects of requests: for the default repository, and for a named one. The second also matches the builder's own
/// reports if the server's permissions do not exclude them.
const SUBJECTS: [&str; 2] = ["build.*", "build.*.*"];
/// The first subject, for round trips: this key may subscribe to it.
pub const PING_SUBJECT: &str = SUBJECTS[0];
/// How rejection messages name the builder.
pub(super) const RECIPIENT: Recipient<'_> = Recipient { name: "the builder", service: "the builder" };

/// A request, and the repository that its subject names.
#[derive(Debug)]
pub(super) struct ReceivedBuildRequest {
    /// The subject that it arrived on.
    pub(super) subject: String,
    pub(super) request: BuildRequest,
    pub(super) repo: Option<Name>,
    /// The key that signed it; `None` if no key is trusted.
    pub(super) signer: Result<Option<PublicKey>, SignatureRejection>,
}

/// A request that could not be read, with as much of it as was readable.
#[derive(Debug)]
pub(super) struct UnreadableRequest {
    pub(super) code: ErrorCode,
    /// The problem, with the name of the field.
    pub(super) message: String,
    pub(super) target: String,
    pub(super) id: Option<Id>,
    /// Last token of its reply subject, if that was readable.
    pub(super) reply_to: Option<Id>,
}

/// A received message and its NATS reply subject.
pub(super) type BuilderMessage = (Result<ReceivedBuildRequest, Box<UnreadableRequest>>, Option<String>);

/// Subscribes to all subjects of a builder. The stream never ends.
pub(super) async fn subscribe(
    nats: &Client,
    rules: &Arc<BuildRules>,
) -> Result<SelectAll<BoxStream<'static, BuilderMessage>>, NatsError> {
    let mut streams = SelectAll::new();
    for subject in SUBJECTS {
        let requests = nats.subscribe(subject, parse_message).await?;
        let rules = rules.clone();
        let verified = move |received| ready(verify(&rules, received));
        streams.push(requests.stream().filter_map(verified).boxed());
    }
    Ok(streams)
}

/// The id of a reply subject that the builder may publish to.
pub(super) fn reply_id(subject: &str) -> Option<Id> {
    let id = Id::new(subject.strip_prefix("build.responses.")?).ok()?;
    (build_report_subject(&id) == subject).then_some(id)
}

/// The parsed message, with its signer if keys are trusted.
fn verify(rules: &BuildRules, received: Received<Option<ParsedMessage>>) -> Option<BuilderMessage> {
    let Received { subject, reply, headers, payload, message } = received;
    let mut read = message??;
    let (trusted, fleet) = (&rules.trusted_keys, rules.fleet.as_ref());
    let signer = verify_signer(Purpose::Build, trusted, fleet, now(), &subject, &payload, &headers);
    match (&mut read, signer) {
        (Ok(received), signer) => received.signer = signer,
        (Err(unreadable), Err(refused)) => {
            (unreadable.code, unreadable.message) = (refused.code(), refused.message(RECIPIENT, &subject));
        }
        (Err(_), Ok(_)) => {}
    }
    Some((read, reply))
}

/// A parsed message.
type ParsedMessage = Result<ReceivedBuildRequest, Box<UnreadableRequest>>;

fn parse_message(subject: &str, payload: &[u8]) -> Option<ParsedMessage> {
    let tokens: Vec<&str> = subject.split('.').collect();
    let (repo, target) = match tokens[..] {
        [_, "responses", _] => return None,
        [_, target] => (None, target),
        [_, repo, target] => (Some(repo), target),
        _ => return None,
    };
    Some(
        parse_request(subject, repo, target, payload)
            .map_err(|error| Box::new(unreadable(&error, target, payload))),
    )
}

fn parse_request(
    subject: &str,
    repo: Option<&str>,
    target: &str,
    payload: &[u8],
) -> Result<ReceivedBuildRequest, WireError> {
    let request = BuildRequest::parse(payload)?;
    let invalid = |path: &str, reason: String| WireError::BadField { path: path.to_owned(), reason };
    let repo = repo.map(Name::new).transpose().map_err(|error| invalid("subject", error.to_string()))?;
    if request.target != target {
        let reason = format!("got {:?}, but the subject names {target:?}", request.target);
        return Err(invalid("target", reason));
    }
    if let (Some(named), Some(repo)) = (&request.repo, &repo)
        && named != repo
    {
        return Err(invalid("repo", format!("got \"{named}\", but the subject names \"{repo}\"")));
    }
    Ok(ReceivedBuildRequest { subject: subject.to_owned(), request, repo, signer: Ok(None) })
}

fn unreadable(error: &WireError, target: &str, payload: &[u8]) -> UnreadableRequest {
    let small = payload.len() <= MAX_MESSAGE;
    let fields: Value = small.then(|| serde_json::from_slice(payload).ok()).flatten().unwrap_or_default();
    let reply_to = fields["reply_to"].as_str().and_then(reply_id);
    let id = fields["id"].as_str().and_then(|id| Id::new(id).ok());
    let code = match error {
        WireError::BadField { path, .. } if path == "branch" => ErrorCode::InvalidRevision,
        _ => ErrorCode::InvalidRequest,
    };
    UnreadableRequest {
        code,
        message: error.to_string(),
        target: target.to_owned(),
        id: id.or_else(|| reply_to.clone()),
        reply_to,
    }
}
