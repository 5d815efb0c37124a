//! The temporary work tree that the update is made in.

use super::error::{Ground, UpdateError};
use super::repository::{Repository, step};
use crate::nix::{FlakeUrl, Git, GitError, Locked, Nix, resolve};
use crate::protocol::Revision;
use std::path::{Path, PathBuf};

/// Who commits, where git does not know.
const AUTHOR: [(&str, &str); 2] =
    [("user.name", "homelab-deploy"), ("user.email", "homelab-deploy@localhost")];

/// A work tree with the update's branch checked out.
pub(super) struct Work {
    pub(super) folder: PathBuf,
    git: Git,
    branch: String,
}

impl Work {
    /// Makes the work tree at this commit of the repository.
    pub(super) async fn make(
        folder: &Path,
        repository: &Repository,
        branch: &str,
        commit: &str,
    ) -> Result<Self, UpdateError> {
        let failed = |why: String| {
            step("make a temporary work tree", &repository.secrets.blot(&why), "", Ground::Local)
        };
        std::fs::create_dir(folder).map_err(|error| failed(error.to_string()))?;
        // A commit that is on no branch is only given to who speaks the newer protocol.
        let git = Git::at(folder).with("protocol.version=2".to_owned());
        let work = Self { folder: folder.to_owned(), git, branch: branch.to_owned() };
        work.fill(repository, commit).await.map_err(|error| failed(error.to_string()))?;
        Ok(work)
    }

    async fn fill(&self, repository: &Repository, commit: &str) -> Result<(), GitError> {
        self.git.run(&["init", "--quiet", "--template="]).await?;
        for (name, ours) in AUTHOR {
            let known = repository.git.run(&["config", "--get", name]).await;
            self.git.run(&["config", name, known.as_deref().unwrap_or(ours)]).await?;
        }
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
        let updated = nix.update_inputs(&self.folder).await;
        updated.map_err(|error| {
            let (doing, why) = (error.doing.clone(), repository.secrets.blot(&error.cause.to_string()));
            step(&doing, &why, "nothing was pushed; mend that, then run again", Ground::Local)
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

    /// The flake, and the flake at this commit.
    pub(super) async fn flake(&self, commit: &str) -> Result<(FlakeUrl, Locked), UpdateError> {
        let failed = |why: String| step("name the update's flake", &why, "", Ground::Local);
        let folder = self.folder.canonicalize().map_err(|error| failed(error.to_string()))?;
        let flake: FlakeUrl = format!("git+file://{}", folder.display())
            .parse()
            .map_err(|error| failed(format!("{error}; set TMPDIR to a plain path")))?;
        let branch = Revision::new(self.branch.as_str()).map_err(|error| failed(error.to_string()))?;
        let locked =
            resolve(&flake, &branch, Some(commit)).await.map_err(|error| failed(error.to_string()))?;
        Ok((flake, locked))
    }
}
