//! The temporary work tree that the update is made in.

use super::error::{Ground, UpdateError};
use super::lock::foreign_inputs;
use super::repository::{Repository, step};
use super::subflake::Subflake;
use crate::nix::{FlakeUrl, Git, GitError, Locked, Nix, Sandbox};
use crate::protocol::printable;
use std::path::{Path, PathBuf};

/// Who commits, where git does not know.
const AUTHOR: [(&str, &str); 2] =
    [("user.name", "homelab-deploy"), ("user.email", "homelab-deploy@localhost")];

/// A work tree with the update's branch checked out.
pub(super) struct Work {
    pub(super) folder: PathBuf,
    /// In the sandbox of nix, which may write here.
    pub(super) git: Git,
    branch: String,
}

impl Work {
    /// Makes the work tree at this commit of the repository.
    pub(super) async fn make(
        folder: &Path,
        repository: &Repository,
        branch: &str,
        commit: &str,
        sandbox: Option<Sandbox>,
    ) -> Result<Self, UpdateError> {
        let failed = |why: String| {
            step("make a temporary work tree", &repository.secrets.blot(&why), "", Ground::Local)
        };
        std::fs::create_dir(folder).map_err(|error| failed(error.to_string()))?;
        // A commit that is on no branch is only given to who speaks the newer protocol.
        let git = Git::at(folder).with("protocol.version=2".to_owned());
        let work = Self { folder: folder.to_owned(), git, branch: branch.to_owned() };
        work.fill(repository, commit).await.map_err(|error| failed(error.to_string()))?;
        // Only that must see the repository itself.
        let git = work.git.within(sandbox);
        Ok(Self { git, ..work })
    }

    async fn fill(&self, repository: &Repository, commit: &str) -> Result<(), GitError> {
        self.git.run(&["init", "--quiet", "--template="]).await?;
        for (name, ours) in AUTHOR {
            let known = repository.git.run(&["config", "--get", name]).await;
            self.git.run(&["config", name, known.as_deref().unwrap_or(ours)]).await?;
        }
        // The key for signatures is out of reach, and the program that asks for its password too.
        self.git.run(&["config", "commit.gpgSign", "false"]).await?;
        let from = repository.git.folder().canonicalize()?.display().to_string();
        self.git.run(&["fetch", "--quiet", "--no-tags", "--", &from, commit]).await?;
        self.git.run(&["checkout", "--quiet", "-B", &self.branch, commit]).await?;
        Ok(())
    }

    /// Updates the inputs, and gives the commit of that; `None` where there was nothing to update.
    pub(super) async fn update(
        &self,
        nix: &Nix,
        repository: &Repository,
        before: &str,
    ) -> Result<Option<String>, UpdateError> {
        let updated = nix.update_inputs(&repository.subflake.within(&self.folder)).await;
        updated.map_err(|error| {
            let (doing, why) = (error.doing.clone(), repository.secrets.blot(&error.cause.to_string()));
            step(&doing, &why, "nothing was pushed; fix that, then run again", Ground::Local)
        })?;
        let head = self.git.run(&["rev-parse", "HEAD"]).await;
        let head = head.map_err(|error| step("look at the update", &error.to_string(), "", Ground::Local))?;
        Ok(Some(head).filter(|head| head != before))
    }

    /// What nix says of the update.
    pub(super) async fn message(&self) -> String {
        let message = self.git.run(&["log", "-1", "--format=%b"]).await.unwrap_or_default();
        message.trim().to_owned()
    }

    /// Refuses new inputs that are taken from this machine.
    pub(super) async fn check_lock(
        &self,
        repository: &Repository,
        before: &str,
        commit: &str,
    ) -> Result<(), UpdateError> {
        let unread = |why: String| step("read the updated flake.lock", &why, "", Ground::Local);
        let old = repository.lock(before).await;
        let lock = repository.subflake.file("flake.lock");
        let new = self.git.run(&["show", &format!("{commit}:{lock}")]).await;
        let new = new.map_err(|error| unread(error.to_string()))?;
        let foreign = foreign_inputs(&old, &new).map_err(|error| unread(error.to_string()))?;
        match foreign.into_iter().next() {
            None => Ok(()),
            Some((input, url)) => {
                Err(UpdateError::LocalInput { input: printable(&input), url: printable(&url) })
            }
        }
    }

    /// The flake, and the flake at this commit.
    pub(super) fn flake(&self, subflake: &Subflake, commit: &str) -> Result<(FlakeUrl, Locked), UpdateError> {
        let failed = |why: String| step("name the update's flake", &why, "", Ground::Local);
        let folder = self.folder.canonicalize().map_err(|error| failed(error.to_string()))?;
        let text =
            folder.to_str().ok_or_else(|| failed("TMPDIR is not text: set it to a plain path".to_owned()))?;
        let flake = FlakeUrl::in_repository(text, subflake.dir(), subflake.submodules);
        let locked = Locked::on_branch(&flake, &self.branch, commit);
        Ok((flake, locked))
    }
}
