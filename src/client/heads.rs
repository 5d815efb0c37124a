//! Looks up the heads of a branch in the repositories themselves, without the NATS server.

use crate::fleet::BranchHeads;
use crate::git::{Credentials, Remote, ResolveError, access_advice};
use crate::nix::{FlakeUrl, FlakeUrlError};
use crate::ordered::CollectOrdered;
use crate::protocol::Revision;
use futures_util::StreamExt;
use futures_util::stream;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Maximum number of repositories looked up at the same time, because each git process may use its full memory limit.
const MAX_PARALLEL: usize = 4;

/// Why a head is unknown.
#[derive(Debug, thiserror::Error)]
pub(super) enum HeadError {
    #[error(transparent)]
    Url(#[from] FlakeUrlError),
    #[error("{0} does not take a revision, so it has no head")]
    NoRevision(String),
    #[error(
        "failed to look up {revision:?} in {flake}: {message}; this machine must be able to read the repository too{}",
        advice.map(|advice| format!(": {advice}")).unwrap_or_default()
    )]
    Unreachable { revision: String, flake: String, message: String, advice: Option<&'static str> },
    #[error("failed to look up {revision:?} in {flake}: git is not installed here; install it")]
    NoGit { revision: String, flake: String },
    #[error("failed to look up {revision:?} in {flake}: no answer within {} s; this machine must be able to reach the repository too", within.as_secs_f32())]
    Late { revision: String, flake: String, within: Duration },
    #[error(transparent)]
    Other(ResolveError),
}

impl From<ResolveError> for HeadError {
    /// Replaces the advice, which is meant for hosts, by one for operators, who need it only if access was refused.
    fn from(error: ResolveError) -> Self {
        match error {
            ResolveError::Unreachable { revision, remote, message, .. } => {
                let advice = access_advice(&message);
                Self::Unreachable { revision, flake: remote, message, advice }
            }
            ResolveError::NoGit { revision, remote } => Self::NoGit { revision, flake: remote },
            other => Self::Other(other),
        }
    }
}

/// The usual timeout of [`heads`].
pub const HEADS_WITHIN: Duration = Duration::from_secs(20);

/// Looks up the commit of `branch` in each of the flakes, several at a time. `within` limits the total time. Git never
/// prompts on the terminal. Dropping the future stops all git processes.
///
/// `credentials` are sent only to their own servers and only over encrypted connections, because a host may announce
/// any URL.
pub async fn heads(
    flakes: impl IntoIterator<Item = String>,
    branch: &Revision,
    within: Duration,
    credentials: &Credentials,
) -> BranchHeads {
    let until = Instant::now() + within;
    let look = |flake: String| async move {
        let head = match timeout_at(until, head(&flake, branch, credentials)).await {
            Ok(head) => head,
            Err(_) => Err(late(&flake, branch, within)),
        };
        (flake, head.map_err(|error| error.to_string()))
    };
    let of = stream::iter(flakes).map(look).buffer_unordered(MAX_PARALLEL).collect::<Vec<_>>().await;
    BranchHeads { branch: branch.clone(), by_flake: of.into_iter().collect_map() }
}

/// Why a branch or tag does not exist in one of the flakes. `None` if it exists in all, or if that cannot be found out
/// from here within this time.
pub async fn missing_revision(
    flakes: impl IntoIterator<Item = String>,
    revision: &Revision,
    within: Duration,
    credentials: &Credentials,
) -> Option<String> {
    let until = Instant::now() + within;
    let look = |flake: String| async move {
        match timeout_at(until, head(&flake, revision, credentials)).await {
            Ok(Err(HeadError::Other(error @ ResolveError::UnknownRevision { .. }))) => {
                Some(error.to_string())
            }
            _ => None,
        }
    };
    let results = stream::iter(flakes).map(look).buffer_unordered(MAX_PARALLEL).collect::<Vec<_>>().await;
    results.into_iter().flatten().next()
}

async fn head(flake: &str, branch: &Revision, credentials: &Credentials) -> Result<String, HeadError> {
    Ok(remote(flake, credentials)?.head(branch).await?)
}

/// The repository of a flake, with the credentials for its server.
pub(super) fn remote(flake: &str, credentials: &Credentials) -> Result<Remote, HeadError> {
    let mut url: FlakeUrl = flake.parse()?;
    if url.is_private() {
        url = url.with_credentials(credentials);
    }
    url.remote().ok_or_else(|| HeadError::NoRevision(url.without_credentials()))
}

/// The error of a lookup in a repository, for an operator.
pub(super) fn head_error(error: ResolveError) -> String {
    HeadError::from(error).to_string()
}

fn late(flake: &str, branch: &Revision, within: Duration) -> HeadError {
    HeadError::Late { revision: branch.to_string(), flake: shown_flake(flake), within }
}

/// A flake URL without credentials; empty if it is not valid.
pub(super) fn shown_flake(flake: &str) -> String {
    flake.parse::<FlakeUrl>().map(|url| url.without_credentials()).unwrap_or_default()
}
