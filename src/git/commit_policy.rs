//! The rules for which commits a host deploys: allowed branches, required signatures, and no older commits.

use super::commit_cache::{ALL_REFS, CommitCache};
use super::commit_choice::{CommitChoice, check_commit, unknown_revision};
use super::refs::Refs;
use super::{CommitRefused, CommitSigners, Remote, ResolveError};
use crate::protocol::Revision;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The requirements that a commit must meet before nix evaluates it.
#[derive(Debug, Clone)]
pub struct CommitPolicy {
    /// Directory of the commit cache, a bare repository without files.
    pub cache: PathBuf,
    /// The branches that may be deployed; empty for all branches.
    pub allowed_branches: Vec<Revision>,
    /// The accepted signers; `None` if commits need no signature.
    pub signers: Option<CommitSigners>,
}

/// The commits that were deployed before.
#[derive(Debug, Clone, Default)]
pub struct PreviousCommits {
    /// The last deployed commit of each branch.
    pub commits: BTreeMap<String, String>,
    /// Whether a commit may be older than the last deployed one of its branch (`--allow-older`).
    pub allow_older: bool,
}

/// The ref that a request names.
enum RequestedRef<'a> {
    /// Branch name and head.
    Branch(&'a str, &'a str),
    /// Tag name and commit.
    Tag(&'a str, &'a str),
    /// The request names only a commit.
    CommitOnly,
}

impl CommitPolicy {
    /// Chooses a commit like [`Remote::resolve`], but refuses one that violates the policy. There is no timeout: drop the future to
    /// cancel.
    pub async fn resolve(
        &self,
        remote: &Remote,
        revision: &Revision,
        commit: Option<&str>,
        deployed: &PreviousCommits,
    ) -> Result<CommitChoice, ResolveError> {
        check_commit(commit)?;
        if let Some(commit) = commit.filter(|commit| revision.is_commit() && *commit != revision.as_str()) {
            return Err(CommitRefused::TwoCommits(revision.to_string(), commit.to_owned()).into());
        }
        let refs = remote.refs(revision).await?;
        let named = named(&refs, remote, revision)?;
        let choice = CommitChoice::of(&refs, remote, revision, commit)?;
        let check = CommitCheck {
            policy: self,
            cache: CommitCache::new(&self.cache, remote, revision),
            remote,
            refs: &refs,
            deployed,
            commit: &choice.commit,
        };
        let branch = check.branch(&named).await?;
        let signed = check.signature(&named).await?;
        let is_guessed =
            matches!(named, RequestedRef::CommitOnly) && refs.ref_pointing_at(&choice.commit).is_none();
        let found = branch.as_ref().filter(|_| is_guessed).map(|branch| format!("refs/heads/{branch}"));
        let reference = found.or(choice.reference);
        let note = choice.note.into_iter().chain(signed).collect::<Vec<_>>().join("; ");
        let note = (!note.is_empty()).then_some(note);
        Ok(CommitChoice { commit: choice.commit, reference, branch, note })
    }
}

fn named<'a>(
    refs: &'a Refs,
    remote: &Remote,
    revision: &'a Revision,
) -> Result<RequestedRef<'a>, ResolveError> {
    let name = revision.as_str();
    if revision.is_commit() {
        Ok(RequestedRef::CommitOnly)
    } else if let Some((name, head)) = refs.branch(name) {
        Ok(RequestedRef::Branch(name, head))
    } else if let Some(commit) = refs.tags.get(name) {
        Ok(RequestedRef::Tag(name, commit))
    } else {
        Err(unknown_revision(refs, remote, revision))
    }
}

/// Checks one commit against the policy.
struct CommitCheck<'a> {
    policy: &'a CommitPolicy,
    cache: CommitCache<'a>,
    remote: &'a Remote,
    refs: &'a Refs,
    deployed: &'a PreviousCommits,
    commit: &'a str,
}

impl CommitCheck<'_> {
    /// The branch that the commit is deployed from; `None` if a tag is on no branch.
    async fn branch(&self, named: &RequestedRef<'_>) -> Result<Option<String>, ResolveError> {
        let (kind, name, tip) = match *named {
            RequestedRef::Branch(name, head) => {
                if !self.allows(name) {
                    let (branch, allowed) = (name.to_owned(), self.allowed());
                    return Err(CommitRefused::BranchNotAllowed { branch, allowed }.into());
                }
                ("branch", name, head)
            }
            RequestedRef::Tag(name, commit) => ("tag", name, commit),
            RequestedRef::CommitOnly => return self.branch_of_commit(true).await,
        };
        if self.commit != tip {
            self.ensure(named).await?;
            if !self.cache.is_ancestor(self.commit, tip).await? {
                let (commit, name) = (self.commit.to_owned(), name.to_owned());
                let remote = self.remote.shown.clone();
                return Err(CommitRefused::NotOnRef { commit, kind, name, remote }.into());
            }
        }
        if kind == "tag" {
            return self.branch_of_commit(false).await;
        }
        if let Some(last) = self.deployed.commits.get(name).filter(|_| !self.deployed.allow_older)
            && last != self.commit
        {
            self.ensure(named).await?;
            if !self.cache.is_ancestor(last, self.commit).await? {
                return Err(self.older_error(name, last).await?.into());
            }
        }
        Ok(Some(name.to_owned()))
    }

    /// The branch of a commit that the request names directly (`is_alone`) or by a tag.
    async fn branch_of_commit(&self, is_alone: bool) -> Result<Option<String>, ResolveError> {
        let heads = self.refs.branches.iter().filter(|(_, head)| *head == self.commit);
        let mut branches: Vec<String> =
            heads.map(|(name, _)| name.clone()).filter(|name| self.allows(name)).collect();
        let is_last =
            |name: &&String| self.deployed.commits.get(*name).is_some_and(|last| last == self.commit);
        if let Some(branch) = branches.iter().find(is_last) {
            return Ok(Some(branch.clone()));
        }
        // If the commit is not a branch head, or an earlier deployment must be compared, the histories are needed.
        if branches.is_empty() || !self.deployed.commits.is_empty() {
            self.cache.fetch(&ALL_REFS).await?;
            let all = self.cache.refs_containing(self.commit).await?;
            let commit = self.commit.to_owned();
            if all.is_empty() && is_alone {
                let remote = self.remote.shown.clone();
                return Err(CommitRefused::NotOnAnyRef { commit, remote }.into());
            }
            let heads = all.iter().filter_map(|name| name.strip_prefix("refs/heads/"));
            let heads = heads.filter(|name| Revision::new(*name).is_ok() && self.allows(name));
            branches = heads.map(str::to_owned).collect();
            if branches.is_empty() && !self.policy.allowed_branches.is_empty() {
                return Err(CommitRefused::CommitNotAllowed { commit, allowed: self.allowed() }.into());
            }
        }
        let mut newer_deployed = None;
        for branch in &branches {
            let Some(last) = self.deployed.commits.get(branch) else { continue };
            if last == self.commit || self.cache.is_ancestor(last, self.commit).await? {
                return Ok(Some(branch.clone()));
            }
            newer_deployed = newer_deployed.or(Some((branch, last)));
        }
        // Deploying that branch by name would be allowed too: the commit is its head, and it was never deployed.
        let is_head = |name: &&String| self.refs.branches.get(*name).is_some_and(|head| head == self.commit);
        let is_first = |name: &&String| !self.deployed.commits.contains_key(*name);
        if let Some(branch) = branches.iter().filter(is_head).find(is_first) {
            return Ok(Some(branch.clone()));
        }
        if let Some((branch, last)) = newer_deployed {
            if self.deployed.allow_older {
                return Ok(Some(branch.clone()));
            }
            return Err(self.older_error(branch, last).await?.into());
        }
        let default = self.refs.default.as_ref().filter(|default| branches.contains(default));
        Ok(default.or(branches.first()).cloned())
    }

    /// Verifies the signature if one is required. Returns a note about the signer.
    async fn signature(&self, named: &RequestedRef<'_>) -> Result<Option<String>, ResolveError> {
        let Some(signers) = &self.policy.signers else { return Ok(None) };
        match named {
            // If no ref points at it, everything was already fetched to find it.
            RequestedRef::CommitOnly => {
                if let Some(ref_pointing_at) = self.refs.ref_pointing_at(self.commit) {
                    self.cache.ensure_fetched(self.commit, &ref_pointing_at).await?;
                }
            }
            _ => self.ensure(named).await?,
        }
        Ok(Some(signers.verify(&self.cache, self.commit).await?))
    }

    /// Fetches the history of the named branch or tag unless it is cached.
    async fn ensure(&self, named: &RequestedRef<'_>) -> Result<(), ResolveError> {
        match named {
            RequestedRef::Branch(name, head) => {
                self.cache.ensure_fetched(head, &format!("refs/heads/{name}")).await
            }
            RequestedRef::Tag(name, commit) => {
                self.cache.ensure_fetched(commit, &format!("refs/tags/{name}")).await
            }
            RequestedRef::CommitOnly => Ok(()),
        }
    }

    async fn older_error(&self, branch: &str, last: &str) -> Result<CommitRefused, ResolveError> {
        // After a rewrite of the branch, the last deployed commit may not exist on the server.
        let is_older = self.cache.has(last).await? && self.cache.is_ancestor(self.commit, last).await?;
        let (commit, last, branch) = (self.commit.to_owned(), last.to_owned(), branch.to_owned());
        Ok(if is_older {
            CommitRefused::Older { commit, last, branch }
        } else {
            CommitRefused::Diverged { commit, last, branch }
        })
    }

    fn allows(&self, branch: &str) -> bool {
        let allowed = &self.policy.allowed_branches;
        allowed.is_empty() || allowed.iter().any(|allowed| allowed.as_str() == branch)
    }

    fn allowed(&self) -> Vec<String> {
        self.policy.allowed_branches.iter().map(ToString::to_string).collect()
    }
}
