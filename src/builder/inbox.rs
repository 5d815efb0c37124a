//! What arrives for the builder: requests, and what can be told of those that are none.

use crate::bus::{Bus, LinkError};
use crate::protocol::{BuildRequest, ErrorCode, Id, MAX_MESSAGE, Name, WireError, of_build_report};
use futures_util::stream::{BoxStream, SelectAll, StreamExt};
use serde_json::Value;

/// Where requests come: for the default repository, and for a named one. Our own reports lie below the second where a server
/// does not keep them away.
const SUBJECTS: [&str; 2] = ["build.*", "build.*.*"];
/// The first of them, which this key may subscribe to, for round trips.
pub const PING_SUBJECT: &str = SUBJECTS[0];

/// A request, and the repository that its subject names.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) request: BuildRequest,
    pub(super) repo: Option<Name>,
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
    pub(super) async fn open(bus: &Bus) -> Result<Self, LinkError> {
        let mut streams = SelectAll::new();
        for subject in SUBJECTS {
            let requests = bus.subscribe(subject, read).await?;
            let ours = |(read, reply): (Option<_>, _)| std::future::ready(read.map(|read| (read, reply)));
            streams.push(requests.messages().filter_map(ours).boxed());
        }
        Ok(Self(streams))
    }

    /// The next thing that arrives; `None` once the connection is closed for good.
    pub(super) async fn next(&mut self) -> Option<Incoming> {
        self.0.next().await
    }
}

/// The id of a reply subject that the builder may publish to.
pub(super) fn reply_id(subject: &str) -> Option<Id> {
    let id = Id::new(subject.strip_prefix("build.responses.")?).ok()?;
    (of_build_report(&id) == subject).then_some(id)
}

fn read(subject: &str, payload: &[u8]) -> Option<Result<Asked, Box<BadRequest>>> {
    let tokens: Vec<&str> = subject.split('.').collect();
    let (repo, target) = match tokens[..] {
        [_, "responses", _] => return None,
        [_, target] => (None, target),
        [_, repo, target] => (Some(repo), target),
        _ => return None,
    };
    Some(understand(repo, target, payload).map_err(|error| Box::new(bad(&error, target, payload))))
}

fn understand(repo: Option<&str>, target: &str, payload: &[u8]) -> Result<Asked, WireError> {
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
    Ok(Asked { request, repo })
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
