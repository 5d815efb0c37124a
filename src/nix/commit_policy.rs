//! Which commits a host deploys: those on a branch of its repository, and what else it was started with.

use super::commit_cache::{CommitCache, EVERY_REF};
use super::locked::{self, Choice};
use super::refs::Refs;
use super::{CommitRefused, CommitSigners, FlakeUrl, Locked, ResolveError, remote};
use crate::protocol::{Revision, is_commit};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What a host demands of a commit before nix sees it.
#[derive(Debug, Clone)]
pub struct CommitPolicy {
    /// Where the commits of the repository are kept, without their files.
    pub cache: PathBuf,
    /// The branches that are deployed; empty for every branch.
    pub allowed_branches: Vec<Revision>,
    /// Whose signatures count, if commits must be signed.
    pub signers: Option<CommitSigners>,
}

/// What was deployed before.
#[derive(Debug, Clone, Default)]
pub struct Deployed {
    /// The last deployed commit of each branch.
    pub commits: BTreeMap<String, String>,
    /// Whether a commit may be older than the last one of its branch.
    pub allow_older: bool,
}

/// What a request names beside its commit.
enum Named<'a> {
    /// A branch and its head.
    Branch(&'a str, &'a str),
    /// A tag and its commit.
    Tag(&'a str, &'a str),
    /// Nothing.
    Nothing,
}

impl CommitPolicy {
    /// Pins `flake` as [`super::resolve`] does, and refuses a commit that this host does not deploy. Takes as long as the remote
    /// does; drop the future to give up.
    pub async fn resolve(
        &self,
        flake: &FlakeUrl,
        revision: &Revision,
        commit: Option<&str>,
        deployed: &Deployed,
    ) -> Result<Locked, ResolveError> {
        let Some(remote) = flake.remote() else { return Ok(locked::unpinned(flake)) };
        if let Some(commit) = commit.filter(|commit| !is_commit(commit)) {
            return Err(ResolveError::NotACommit(commit.chars().take(80).collect()));
        }
        if let Some(commit) = commit.filter(|commit| revision.is_commit() && *commit != revision.as_str()) {
            return Err(CommitRefused::TwoCommits(revision.to_string(), commit.to_owned()).into());
        }
        let refs = remote::refs(flake, &remote, revision).await?;
        let named = named(&refs, flake, revision)?;
        let choice = locked::choose(&refs, flake, revision, commit)?;
        let check = Check {
            policy: self,
            cache: CommitCache::new(&self.cache, flake, &remote, revision),
            flake,
            refs: &refs,
            deployed,
            commit: &choice.commit,
        };
        let branch = check.branch(&named).await?;
        let signed = check.signature(&named).await?;
        let Choice { commit, reference, note } = choice;
        let is_guessed = matches!(named, Named::Nothing) && refs.holder(&commit).is_none();
        let found = branch.as_ref().filter(|_| is_guessed).map(|branch| format!("refs/heads/{branch}"));
        let reference = found.or(reference);
        let note = note.into_iter().chain(signed).collect::<Vec<_>>().join("; ");
        let url = flake.at(&commit, reference.as_deref());
        Ok(Locked { url, commit: Some(commit), branch, note: (!note.is_empty()).then_some(note) })
    }
}

fn named<'a>(refs: &'a Refs, flake: &FlakeUrl, revision: &'a Revision) -> Result<Named<'a>, ResolveError> {
    let name = revision.as_str();
    if revision.is_commit() {
        Ok(Named::Nothing)
    } else if let Some((name, head)) = refs.branch(name) {
        Ok(Named::Branch(name, head))
    } else if let Some(commit) = refs.tags.get(name) {
        Ok(Named::Tag(name, commit))
    } else {
        Err(locked::unknown(refs, flake, revision))
    }
}

/// One commit that is looked at.
struct Check<'a> {
    policy: &'a CommitPolicy,
    cache: CommitCache<'a>,
    flake: &'a FlakeUrl,
    refs: &'a Refs,
    deployed: &'a Deployed,
    commit: &'a str,
}

impl Check<'_> {
    /// The branch that the commit is deployed from; a tag may be on none.
    async fn branch(&self, named: &Named<'_>) -> Result<Option<String>, ResolveError> {
        let (kind, name, tip) = match *named {
            Named::Branch(name, head) => {
                if !self.allows(name) {
                    let (branch, allowed) = (name.to_owned(), self.allowed());
                    return Err(CommitRefused::BranchNotAllowed { branch, allowed }.into());
                }
                ("branch", name, head)
            }
            Named::Tag(name, commit) => ("tag", name, commit),
            Named::Nothing => return self.any_branch(true).await,
        };
        if self.commit != tip {
            self.ensure(named).await?;
            if !self.cache.is_ancestor(self.commit, tip).await? {
                let (commit, name) = (self.commit.to_owned(), name.to_owned());
                let flake = self.flake.without_credentials();
                return Err(CommitRefused::NotOnRef { commit, kind, name, flake }.into());
            }
        }
        if kind == "tag" {
            return self.any_branch(false).await;
        }
        if let Some(last) = self.deployed.commits.get(name).filter(|_| !self.deployed.allow_older)
            && last != self.commit
        {
            self.ensure(named).await?;
            if !self.cache.is_ancestor(last, self.commit).await? {
                return Err(self.older(name, last).await?.into());
            }
        }
        Ok(Some(name.to_owned()))
    }

    /// The branch of a commit that was named without one, or by a tag. `is_alone`: not by a tag.
    async fn any_branch(&self, is_alone: bool) -> Result<Option<String>, ResolveError> {
        let heads = self.refs.branches.iter().filter(|(_, head)| *head == self.commit);
        let mut branches: Vec<String> =
            heads.map(|(name, _)| name.clone()).filter(|name| self.allows(name)).collect();
        let is_last =
            |name: &&String| self.deployed.commits.get(*name).is_some_and(|last| last == self.commit);
        if let Some(branch) = branches.iter().find(is_last) {
            return Ok(Some(branch.clone()));
        }
        // Without a head there, or with something to compare it with, the histories must be known.
        if branches.is_empty() || !self.deployed.commits.is_empty() {
            self.cache.fetch(&EVERY_REF).await?;
            let all = self.cache.refs_with(self.commit).await?;
            let commit = self.commit.to_owned();
            if all.is_empty() && is_alone {
                let flake = self.flake.without_credentials();
                return Err(CommitRefused::NotOnAnyRef { commit, flake }.into());
            }
            let heads = all.iter().filter_map(|name| name.strip_prefix("refs/heads/"));
            let heads = heads.filter(|name| Revision::new(*name).is_ok() && self.allows(name));
            branches = heads.map(str::to_owned).collect();
            if branches.is_empty() && !self.policy.allowed_branches.is_empty() {
                return Err(CommitRefused::CommitNotAllowed { commit, allowed: self.allowed() }.into());
            }
        }
        let mut behind = None;
        for branch in &branches {
            let Some(last) = self.deployed.commits.get(branch) else { continue };
            if last == self.commit || self.cache.is_ancestor(last, self.commit).await? {
                return Ok(Some(branch.clone()));
            }
            behind = behind.or(Some((branch, last)));
        }
        // Whoever named that branch would get the same commit, as its first one.
        let is_head = |name: &&String| self.refs.branches.get(*name).is_some_and(|head| head == self.commit);
        let is_first = |name: &&String| !self.deployed.commits.contains_key(*name);
        if let Some(branch) = branches.iter().filter(is_head).find(is_first) {
            return Ok(Some(branch.clone()));
        }
        if let Some((branch, last)) = behind {
            if self.deployed.allow_older {
                return Ok(Some(branch.clone()));
            }
            return Err(self.older(branch, last).await?.into());
        }
        let default = self.refs.default.as_ref().filter(|default| branches.contains(default));
        Ok(default.or(branches.first()).cloned())
    }

    /// Verifies the signature, if one is demanded; gives what to say of it.
    async fn signature(&self, named: &Named<'_>) -> Result<Option<String>, ResolveError> {
        let Some(signers) = &self.policy.signers else { return Ok(None) };
        match named {
            // Without a ref that points at it, it was found by fetching everything.
            Named::Nothing => {
                if let Some(holder) = self.refs.holder(self.commit) {
                    self.cache.ensure(self.commit, &holder).await?;
                }
            }
            _ => self.ensure(named).await?,
        }
        Ok(Some(signers.verify(&self.cache, self.commit).await?))
    }

    /// Fetches the history of the branch or tag that is named, unless it is here.
    async fn ensure(&self, named: &Named<'_>) -> Result<(), ResolveError> {
        match named {
            Named::Branch(name, head) => self.cache.ensure(head, &format!("refs/heads/{name}")).await,
            Named::Tag(name, commit) => self.cache.ensure(commit, &format!("refs/tags/{name}")).await,
            Named::Nothing => Ok(()),
        }
    }

    async fn older(&self, branch: &str, last: &str) -> Result<CommitRefused, ResolveError> {
        // After a rewrite the last one may be nowhere any more.
        let is_behind = self.cache.has(last).await? && self.cache.is_ancestor(self.commit, last).await?;
        let (commit, last, branch) = (self.commit.to_owned(), last.to_owned(), branch.to_owned());
        Ok(if is_behind {
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
