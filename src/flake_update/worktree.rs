//! The temporary work tree in which the update is created.

use super::error::{FailureKind, FlakeUpdateError};
use super::lock::foreign_inputs;
use super::repository::{Repository, step_error};
use super::subflake::Subflake;
use crate::git::{Git, GitError};
use crate::nix::{FlakeUrl, LockedFlake, Nix};
use crate::sandbox::Sandbox;
use crate::text::printable;
use std::path::{Path, PathBuf};

/// The committer if git has none configured.
const AUTHOR: [(&str, &str); 2] =
    [("user.name", "homelab-deploy"), ("user.email", "homelab-deploy@localhost")];

/// A work tree with the update's branch checked out.
pub(super) struct Worktree {
    pub(super) dir: PathBuf,
    /// git in this work tree, in the same sandbox as nix because nix may write here.
    pub(super) git: Git,
    branch: String,
}

impl Worktree {
    /// Creates the work tree at this commit of the repository.
    pub(super) async fn create(
        dir: &Path,
        repository: &Repository,
        branch: &str,
        commit: &str,
        sandbox: Option<Sandbox>,
    ) -> Result<Self, FlakeUpdateError> {
        let failed = |reason: String| {
            step_error(
                "create a temporary work tree",
                &repository.secrets.redact(&reason),
                "",
                FailureKind::Local,
            )
        };
        std::fs::create_dir(dir).map_err(|error| failed(error.to_string()))?;
        // Protocol version 2 is required to fetch a commit that is on no branch.
        let git = Git::at(dir).with_setting("protocol.version=2".to_owned());
        let worktree = Self { dir: dir.to_owned(), git, branch: branch.to_owned() };
        worktree.check_out(repository, commit).await.map_err(|error| failed(error.to_string()))?;
        // The checkout above needs access to the repository, so the sandbox starts here.
        let git = worktree.git.with_sandbox(sandbox);
        Ok(Self { git, ..worktree })
    }

    async fn check_out(&self, repository: &Repository, commit: &str) -> Result<(), GitError> {
        self.git.run(&["init", "--quiet", "--template="]).await?;
        for (name, ours) in AUTHOR {
            let known = repository.git.run(&["config", "--get", name]).await;
            self.git.run(&["config", name, known.as_deref().unwrap_or(ours)]).await?;
        }
        // The sandbox has no access to the signing key and to the passphrase prompt.
        self.git.run(&["config", "commit.gpgSign", "false"]).await?;
        let from = repository.git.dir().canonicalize()?.display().to_string();
        self.git.run(&["fetch", "--quiet", "--no-tags", "--", &from, commit]).await?;
        self.git.run(&["checkout", "--quiet", "-B", &self.branch, commit]).await?;
        Ok(())
    }

    /// Updates the inputs and returns the commit; `None` if there was nothing to update.
    pub(super) async fn update(
        &self,
        nix: &Nix,
        repository: &Repository,
        before: &str,
    ) -> Result<Option<String>, FlakeUpdateError> {
        let updated = nix.update_inputs(&repository.subflake.within(&self.dir)).await;
        updated.map_err(|error| {
            let (operation, reason) =
                (error.operation.clone(), repository.secrets.redact(&error.cause.to_string()));
            step_error(
                &operation,
                &reason,
                "nothing was pushed; fix that, then run again",
                FailureKind::Local,
            )
        })?;
        let head = self.git.run(&["rev-parse", "HEAD"]).await;
        let head = head.map_err(|error| {
            step_error("read the update's commit", &error.to_string(), "", FailureKind::Local)
        })?;
        Ok(Some(head).filter(|head| head != before))
    }

    /// nix's description of the updated inputs, from the commit message.
    pub(super) async fn message(&self) -> String {
        let message = self.git.run(&["log", "-1", "--format=%b"]).await.unwrap_or_default();
        message.trim().to_owned()
    }

    /// Refuses new inputs that are fetched from this machine.
    pub(super) async fn check_lock(
        &self,
        repository: &Repository,
        before: &str,
        commit: &str,
    ) -> Result<(), FlakeUpdateError> {
        let unread =
            |reason: String| step_error("read the updated flake.lock", &reason, "", FailureKind::Local);
        let old = repository.lock(before).await;
        let lock = repository.subflake.file("flake.lock");
        let new = self.git.run(&["show", &format!("{commit}:{lock}")]).await;
        let new = new.map_err(|error| unread(error.to_string()))?;
        let foreign = foreign_inputs(&old, &new).map_err(|error| unread(error.to_string()))?;
        match foreign.into_iter().next() {
            None => Ok(()),
            Some((input, url)) => {
                Err(FlakeUpdateError::LocalInput { input: printable(&input), url: printable(&url) })
            }
        }
    }

    /// The flake, and the flake pinned to this commit.
    pub(super) fn flake(
        &self,
        subflake: &Subflake,
        commit: &str,
    ) -> Result<(FlakeUrl, LockedFlake), FlakeUpdateError> {
        let failed =
            |reason: String| step_error("locate the update's flake", &reason, "", FailureKind::Local);
        let dir = self.dir.canonicalize().map_err(|error| failed(error.to_string()))?;
        let text = dir
            .to_str()
            .ok_or_else(|| failed("TMPDIR is not valid UTF-8: set it to another path".to_owned()))?;
        let flake = FlakeUrl::in_repository(text, subflake.dir(), subflake.submodules);
        let locked = LockedFlake::on_branch(&flake, &self.branch, commit);
        Ok((flake, locked))
    }
}
