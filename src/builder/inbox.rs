//! What arrives for the builder: requests, and what can be told of those that are none.

use super::config::Rules;
use crate::bus::{Bus, LinkError, Received};
use crate::jobs::now;
use crate::keys::{Refused, Taker, signer};
use crate::protocol::{
    BuildRequest, ErrorCode, Id, MAX_MESSAGE, Name, PublicKey, Purpose, WireError, of_build_report,
};
use futures_util::stream::{BoxStream, SelectAll, StreamExt};
use serde_json::Value;
use std::future::ready;
use std::sync::Arc;

/// Where requests come: for the default repository, and for a named one. Our own reports lie below the second where a server
/// does not keep them away.
const SUBJECTS: [&str; 2] = ["build.*", "build.*.*"];
/// The first of them, which this key may subscribe to, for round trips.
pub const PING_SUBJECT: &str = SUBJECTS[0];
/// The builder, in the words of a refusal.
pub(super) const TAKER: Taker<'_> = Taker { name: "the builder", service: "the builder" };

/// A request, and the repository that its subject names.
#[derive(Debug)]
pub(super) struct Asked {
    /// Where it came.
    pub(super) subject: String,
    pub(super) request: BuildRequest,
    pub(super) repo: Option<Name>,
    /// Who has signed it; no one if no key is trusted.
    pub(super) signer: Result<Option<PublicKey>, Refused>,
}

/// A request that was refused before it was understood, with as much of it as could be read.
#[derive(Debug)]
pub(super) struct BadRequest {
    pub(super) code: ErrorCode,
    /// What is wrong, naming the field.
    pub(super) message: String,
    pub(super) target: String,
    pub(super) id: Option<Id>,
    /// The last token of where to say so, where that could be read.
    pub(super) reply_to: Option<Id>,
}

/// Something that arrived, and the reply subject it carried.
pub(super) type Incoming = (Result<Asked, Box<BadRequest>>, Option<String>);

/// The subscriptions of a builder.
pub(super) struct Inbox(SelectAll<BoxStream<'static, Incoming>>);

impl Inbox {
    pub(super) async fn open(bus: &Bus, rules: &Arc<Rules>) -> Result<Self, LinkError> {
        let mut streams = SelectAll::new();
        for subject in SUBJECTS {
            let requests = bus.subscribe(subject, read).await?;
            let rules = rules.clone();
            let read = move |received| ready(arrived(&rules, received));
            streams.push(requests.stream().filter_map(read).boxed());
        }
        Ok(Self(streams))
    }

    /// The next thing that arrives.
    pub(super) async fn next(&mut self) -> Incoming {
        // Subscriptions never end.
        self.0.select_next_some().await
    }
}

/// The id of a reply subject that the builder may publish to.
pub(super) fn reply_id(subject: &str) -> Option<Id> {
    let id = Id::new(subject.strip_prefix("build.responses.")?).ok()?;
    (of_build_report(&id) == subject).then_some(id)
}

/// What a message says, with who has signed it if keys are trusted.
fn arrived(rules: &Rules, received: Received<Option<Read>>) -> Option<Incoming> {
    let Received { subject, reply, headers, payload, message } = received;
    let mut read = message??;
    if !rules.trusted_keys.is_empty() {
        let (trusted, fleet) = (&rules.trusted_keys, rules.fleet.as_ref());
        let signer = signer(Purpose::Build, trusted, fleet, now(), &subject, &payload, &headers);
        match (&mut read, signer) {
            (Ok(asked), signer) => asked.signer = signer.map(Some),
            (Err(bad), Err(refused)) => {
                (bad.code, bad.message) = (refused.code(), refused.message(TAKER, &subject));
            }
            (Err(_), Ok(_)) => {}
        }
    }
    Some((read, reply))
}

/// A message as it was read.
type Read = Result<Asked, Box<BadRequest>>;

fn read(subject: &str, payload: &[u8]) -> Option<Read> {
    let tokens: Vec<&str> = subject.split('.').collect();
    let (repo, target) = match tokens[..] {
        [_, "responses", _] => return None,
        [_, target] => (None, target),
        [_, repo, target] => (Some(repo), target),
        _ => return None,
    };
    Some(understand(subject, repo, target, payload).map_err(|error| Box::new(bad(&error, target, payload))))
}

fn understand(subject: &str, repo: Option<&str>, target: &str, payload: &[u8]) -> Result<Asked, WireError> {
    let request = BuildRequest::parse(payload)?;
    let wrong = |path: &str, why: String| WireError::BadField { path: path.to_owned(), why };
    let repo = repo.map(Name::new).transpose().map_err(|error| wrong("subject", error.to_string()))?;
    if request.target != target {
        let why = format!("it is {:?}, and the subject says {target:?}", request.target);
        return Err(wrong("target", why));
    }
    if let (Some(said), Some(repo)) = (&request.repo, &repo)
        && said != repo
    {
        return Err(wrong("repo", format!("it is \"{said}\", and the subject says \"{repo}\"")));
    }
    Ok(Asked { subject: subject.to_owned(), request, repo, signer: Ok(None) })
}

fn bad(error: &WireError, target: &str, payload: &[u8]) -> BadRequest {
    let small = payload.len() <= MAX_MESSAGE;
    let seen: Value = small.then(|| serde_json::from_slice(payload).ok()).flatten().unwrap_or_default();
    let reply_to = seen["reply_to"].as_str().and_then(reply_id);
    let id = seen["id"].as_str().and_then(|id| Id::new(id).ok());
    let code = match error {
        WireError::BadField { path, .. } if path == "branch" => ErrorCode::InvalidRevision,
        _ => ErrorCode::InvalidRequest,
    };
    BadRequest {
        code,
        message: error.to_string(),
        target: target.to_owned(),
        id: id.or_else(|| reply_to.clone()),
        reply_to,
    }
}
