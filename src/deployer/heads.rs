//! Looks up the heads of a branch, by asking the repositories themselves; no server of ours is needed for it.

use crate::fleet::Heads;
use crate::nix::{self, Credentials, FlakeUrl, FlakeUrlError, ResolveError, access_advice};
use crate::protocol::Revision;
use futures_util::StreamExt;
use futures_util::stream;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How many repositories are asked at once: each git may take as much memory as it is allowed.
const AT_ONCE: usize = 4;

/// Why a head is not known.
#[derive(Debug, thiserror::Error)]
enum HeadError {
    #[error(transparent)]
    Url(#[from] FlakeUrlError),
    #[error("{0} takes no revision, so it has no head")]
    NoRevision(String),
    #[error(
        "could not look up {revision:?} in {flake}: {said}; this machine must be able to read the repository too{}",
        advice.map(|advice| format!(": {advice}")).unwrap_or_default()
    )]
    Unreachable { revision: String, flake: String, said: String, advice: Option<&'static str> },
    #[error("could not look up {revision:?} in {flake}: git is not installed here; install it")]
    NoGit { revision: String, flake: String },
    #[error("could not look up {revision:?} in {flake}: no answer within {} s; this machine must be able to reach the repository too", within.as_secs_f32())]
    Late { revision: String, flake: String, within: Duration },
    #[error(transparent)]
    Other(ResolveError),
}

impl From<ResolveError> for HeadError {
    /// The advice of the listener is for hosts; here an operator reads, who needs it only where access was refused.
    fn from(error: ResolveError) -> Self {
        match error {
            ResolveError::Unreachable { revision, flake, said, .. } => {
                let advice = access_advice(&said);
                Self::Unreachable { revision, flake, said, advice }
            }
            ResolveError::NoGit { revision, flake } => Self::NoGit { revision, flake },
            other => Self::Other(other),
        }
    }
}

/// How long [`heads`] usually may take.
pub const HEADS_WITHIN: Duration = Duration::from_secs(20);

/// Looks up the commit that `branch` names in each of the flakes, some at once. Whatever is not known `within` that time,
/// counted for all together, is given up. Nothing is asked on the terminal. Dropping the future ends every git.
///
/// `credentials` go to their servers only, and only where no one can read them on the way: a host may name any URL.
pub async fn heads(
    flakes: impl IntoIterator<Item = String>,
    branch: &Revision,
    within: Duration,
    credentials: &Credentials,
) -> Heads {
    let until = Instant::now() + within;
    let look = |flake: String| async move {
        let head = match timeout_at(until, head(&flake, branch, credentials)).await {
            Ok(head) => head,
            Err(_) => Err(late(&flake, branch, within)),
        };
        (flake, head.map_err(|error| error.to_string()))
    };
    let of = stream::iter(flakes).map(look).buffer_unordered(AT_ONCE).collect::<Vec<_>>().await;
    Heads { branch: branch.clone(), of: of.into_iter().collect() }
}

async fn head(flake: &str, branch: &Revision, credentials: &Credentials) -> Result<String, HeadError> {
    let mut url: FlakeUrl = flake.parse()?;
    if url.is_private() {
        url = url.with_credentials(credentials);
    }
    let head = nix::head(&url, branch).await?;
    head.ok_or_else(|| HeadError::NoRevision(url.without_credentials()))
}

fn late(flake: &str, branch: &Revision, within: Duration) -> HeadError {
    let shown = flake.parse::<FlakeUrl>().map(|url| url.without_credentials());
    let (revision, flake) = (branch.to_string(), shown.unwrap_or_default());
    HeadError::Late { revision, flake, within }
}
