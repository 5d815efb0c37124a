//! Pins a flake to exactly one commit, so that nix can answer with no other: nix's own cache gives the old commit
//! after a push, and with success when the remote is away.

use super::refs::Refs;
use super::{FlakeUrl, ResolveError, remote};
use crate::protocol::{Revision, is_commit};
use std::fmt;

/// A flake at one commit. `Debug` shows it without credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct Locked {
    /// What nix builds; `#ATTRIBUTE` can follow. Its parameters may be secret: [`FlakeUrl::scrub`] what nix says of it.
    pub url: String,
    /// The commit; nothing for a `path:`, which is built as it lies there.
    pub commit: Option<String>,
    /// The branch that the commit is on, if that was looked at.
    pub branch: Option<String>,
    /// What the operator should know about the choice.
    pub note: Option<String>,
}

impl fmt::Debug for Locked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Locked")
            .field("commit", &self.commit)
            .field("branch", &self.branch)
            .field("note", &self.note)
            .finish_non_exhaustive()
    }
}

impl Locked {
    /// A flake at a commit that is known to be on a branch.
    pub fn on_branch(flake: &FlakeUrl, branch: &str, commit: &str) -> Self {
        let url = flake.at(commit, Some(&format!("refs/heads/{branch}")));
        let (commit, branch) = (Some(commit.to_owned()), Some(branch.to_owned()));
        Self { url, commit, branch, note: None }
    }
}

/// Pins `flake` to the commit that `revision` names on the remote at this moment, or to `commit` where that is
/// given: then the revision only helps to find it. Takes as long as the remote does; drop the future to give up.
pub async fn resolve(
    flake: &FlakeUrl,
    revision: &Revision,
    commit: Option<&str>,
) -> Result<Locked, ResolveError> {
    let Some(remote) = flake.remote() else { return Ok(unpinned(flake)) };
    if let Some(commit) = commit.filter(|commit| !is_commit(commit)) {
        return Err(ResolveError::NotACommit(commit.chars().take(80).collect()));
    }
    let refs = remote::refs(flake, &remote, revision).await?;
    let choice = choose(&refs, flake, revision, commit)?;
    let url = flake.at(&choice.commit, choice.reference.as_deref());
    Ok(Locked { url, commit: Some(choice.commit), branch: None, note: choice.note })
}

/// A flake that has no commits.
pub(super) fn unpinned(flake: &FlakeUrl) -> Locked {
    let note = format!("{} takes no revision: it is built as it lies there", flake.without_credentials());
    Locked { url: flake.unpinned(), commit: None, branch: None, note: Some(note) }
}

/// The commit that is meant, among the refs of the remote.
pub(super) fn choose(
    refs: &Refs,
    flake: &FlakeUrl,
    revision: &Revision,
    commit: Option<&str>,
) -> Result<Choice, ResolveError> {
    match commit.or_else(|| revision.is_commit().then_some(revision.as_str())) {
        Some(commit) => Ok(by_commit(refs, commit, revision)),
        None => by_name(refs, revision).ok_or_else(|| unknown(refs, flake, revision)),
    }
}

/// A commit of a remote, and how nix is to fetch it.
pub(super) struct Choice {
    pub(super) commit: String,
    /// The full name of the ref to fetch.
    pub(super) reference: Option<String>,
    pub(super) note: Option<String>,
}

fn by_name(refs: &Refs, revision: &Revision) -> Option<Choice> {
    let name = revision.as_str();
    let (name, commit, kind) = match refs.branch(name) {
        Some((name, commit)) => (name, commit, "heads"),
        None => (name, refs.tags.get(name)?.as_str(), "tags"),
    };
    let both = kind == "heads" && refs.tags.contains_key(name);
    Some(Choice {
        commit: commit.to_owned(),
        reference: Some(format!("refs/{kind}/{name}")),
        note: both.then(|| format!("{name:?} is a branch and a tag: the branch was taken")),
    })
}

/// A ref that points at the commit surely holds it; else the named one may, and then the default branch: without
/// any, nix 2.8 looks on `master` alone.
fn by_commit(refs: &Refs, commit: &str, revision: &Revision) -> Choice {
    let named = by_name(refs, revision);
    let at_named = named.as_ref().filter(|choice| choice.commit == commit);
    let pointing = at_named.and_then(|choice| choice.reference.clone()).or_else(|| refs.holder(commit));
    let named = || named.as_ref().and_then(|choice| choice.reference.clone());
    let default = || refs.default.as_ref().map(|name| format!("refs/heads/{name}"));
    let reference = pointing.or_else(named).or_else(default);
    Choice { commit: commit.to_owned(), reference, note: None }
}

pub(super) fn unknown(refs: &Refs, flake: &FlakeUrl, revision: &Revision) -> ResolveError {
    let name = revision.as_str();
    let advice = if refs.branches.is_empty() && refs.tags.is_empty() {
        ", which has none yet: push one".to_owned()
    } else {
        refs.advice(name)
    };
    ResolveError::UnknownRevision { revision: name.to_owned(), flake: flake.without_credentials(), advice }
}
