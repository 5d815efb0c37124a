//! Chooses the commit to deploy among the refs of a remote.

use super::refs::Refs;
use super::{Remote, ResolveError};
use crate::protocol::{Revision, is_commit};
use crate::text::fitting_prefix;

/// A commit of a remote, and the ref to fetch it from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitChoice {
    /// The commit.
    pub commit: String,
    /// The full name of the ref to fetch.
    pub reference: Option<String>,
    /// The branch that the commit is on, if it was determined.
    pub branch: Option<String>,
    /// A note for the operator about how the commit was chosen.
    pub note: Option<String>,
}

impl CommitChoice {
    /// Chooses the requested commit among these refs.
    pub(super) fn of(
        refs: &Refs,
        remote: &Remote,
        revision: &Revision,
        commit: Option<&str>,
    ) -> Result<Self, ResolveError> {
        match commit.or_else(|| revision.is_commit().then_some(revision.as_str())) {
            Some(commit) => Ok(by_commit(refs, commit, revision)),
            None => by_name(refs, revision).ok_or_else(|| unknown_revision(refs, remote, revision)),
        }
    }
}

/// Refuses a request whose commit is not a complete one.
pub(super) fn check_commit(commit: Option<&str>) -> Result<(), ResolveError> {
    match commit.filter(|commit| !is_commit(commit)) {
        Some(commit) => Err(ResolveError::NotACommit(fitting_prefix(commit, 80).to_owned())),
        None => Ok(()),
    }
}

fn by_name(refs: &Refs, revision: &Revision) -> Option<CommitChoice> {
    let name = revision.as_str();
    let (name, commit, kind) = match refs.branch(name) {
        Some((name, commit)) => (name, commit, "heads"),
        None => (name, refs.tags.get(name)?.as_str(), "tags"),
    };
    let both = kind == "heads" && refs.tags.contains_key(name);
    Some(CommitChoice {
        commit: commit.to_owned(),
        reference: Some(format!("refs/{kind}/{name}")),
        branch: None,
        note: both.then(|| format!("{name:?} is a branch and a tag: using the branch")),
    })
}

/// Chooses the ref for a commit: one that points at it, else the named ref, else the default branch. Without a ref, nix 2.8 searches
/// only `master`.
fn by_commit(refs: &Refs, commit: &str, revision: &Revision) -> CommitChoice {
    let named = by_name(refs, revision);
    let at_named = named.as_ref().filter(|choice| choice.commit == commit);
    let pointing =
        at_named.and_then(|choice| choice.reference.clone()).or_else(|| refs.ref_pointing_at(commit));
    let named = || named.as_ref().and_then(|choice| choice.reference.clone());
    let default = || refs.default.as_ref().map(|name| format!("refs/heads/{name}"));
    let reference = pointing.or_else(named).or_else(default);
    CommitChoice { commit: commit.to_owned(), reference, branch: None, note: None }
}

pub(super) fn unknown_revision(refs: &Refs, remote: &Remote, revision: &Revision) -> ResolveError {
    let advice = if refs.branches.is_empty() && refs.tags.is_empty() {
        ", which has no branches or tags yet: push one".to_owned()
    } else {
        refs.advice(revision.as_str())
    };
    remote.unknown_revision(revision, advice)
}
