//! Pins a flake to exactly one commit. Otherwise nix's own cache can return the old commit after a push, and report success while
//! the remote is unreachable.

use super::FlakeUrl;
use crate::git::{CommitChoice, CommitPolicy, PreviousCommits, ResolveError};
use crate::protocol::Revision;
use std::fmt;

/// A flake pinned to one commit. `Debug` leaves out the URL, which may contain secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct LockedFlake {
    /// The URL for nix, to which `#ATTRIBUTE` can be appended. Parameters may be secret: use [`FlakeUrl::redact`] on messages of nix.
    pub url: String,
    /// The commit; `None` for a `path:`, whose current files are built.
    pub commit: Option<String>,
    /// The branch that the commit is on, if it was determined.
    pub branch: Option<String>,
    /// A note for the operator about how the commit was chosen.
    pub note: Option<String>,
}

impl fmt::Debug for LockedFlake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockedFlake")
            .field("commit", &self.commit)
            .field("branch", &self.branch)
            .field("note", &self.note)
            .finish_non_exhaustive()
    }
}

impl LockedFlake {
    /// Pins a flake to a commit that is known to be on a branch.
    pub fn on_branch(flake: &FlakeUrl, branch: &str, commit: &str) -> Self {
        let url = flake.at(commit, Some(&format!("refs/heads/{branch}")));
        let (commit, branch) = (Some(commit.to_owned()), Some(branch.to_owned()));
        Self { url, commit, branch, note: None }
    }

    fn at(flake: &FlakeUrl, choice: CommitChoice) -> Self {
        let CommitChoice { commit, reference, branch, note } = choice;
        Self { url: flake.at(&commit, reference.as_deref()), commit: Some(commit), branch, note }
    }

    /// A flake without commits.
    fn unpinned(flake: &FlakeUrl) -> Self {
        let note = format!("{} has no revisions: its current files are built", flake.without_credentials());
        Self { url: flake.unpinned(), commit: None, branch: None, note: Some(note) }
    }
}

/// Pins `flake` to `commit`, or without one to the commit that `revision` currently has on the remote. There is no timeout: drop the
/// future to cancel.
pub async fn resolve(
    flake: &FlakeUrl,
    revision: &Revision,
    commit: Option<&str>,
) -> Result<LockedFlake, ResolveError> {
    match flake.remote() {
        Some(remote) => Ok(LockedFlake::at(flake, remote.resolve(revision, commit).await?)),
        None => Ok(LockedFlake::unpinned(flake)),
    }
}

/// Pins `flake` like [`resolve`], but refuses a commit that violates the policy.
pub async fn resolve_allowed(
    flake: &FlakeUrl,
    revision: &Revision,
    commit: Option<&str>,
    policy: &CommitPolicy,
    deployed: &PreviousCommits,
) -> Result<LockedFlake, ResolveError> {
    match flake.remote() {
        Some(remote) => {
            Ok(LockedFlake::at(flake, policy.resolve(&remote, revision, commit, deployed).await?))
        }
        None => Ok(LockedFlake::unpinned(flake)),
    }
}
