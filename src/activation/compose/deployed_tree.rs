//! The work tree of the repository on the host, and scratch trees of other commits.

use crate::git::{Git, GitError, Remote};
use crate::private_file;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Where the branches and tags of the remote are kept, apart from those of the clone.
const REFS: &str = "refs/homelab-deploy";

/// The clone with the work tree.
#[derive(Debug, Clone)]
pub(super) struct DeployedTree {
    dir: PathBuf,
    git: Git,
}

impl DeployedTree {
    /// Opens the clone, which is created if it is missing.
    pub(super) async fn open(dir: &Path, remote: &Remote) -> Result<Self, GitError> {
        fs::create_dir_all(dir)?;
        // The tree may belong to another user; hooks of a clone are not part of a deployment.
        let git = Git::at(dir)
            .with_setting(format!("safe.directory={}", dir.display()))
            .with_setting("core.hooksPath=/dev/null".to_owned())
            .credentials(remote.credentials.clone());
        if !dir.join(".git").exists() {
            git.run(&["init", "--quiet", "--template="]).await?;
        }
        Ok(Self { dir: dir.to_owned(), git })
    }

    /// The commit of the work tree; `None` before the first deployment.
    pub(super) async fn head(&self) -> Option<String> {
        self.git.run(&["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]).await.ok()
    }

    /// The tracked files with local changes.
    pub(super) async fn local_changes(&self) -> Result<Vec<String>, GitError> {
        let output = self.git.run(&["status", "--porcelain", "--untracked-files=no"]).await?;
        // The first line may have lost its leading space.
        let file = |line: &str| line.trim_start().split_once(' ').map(|(_, file)| file.trim().to_owned());
        Ok(output.lines().filter_map(file).collect())
    }

    /// Fetches all branches and tags of the remote.
    pub(super) async fn fetch(&self, remote: &Remote) -> Result<(), GitError> {
        let (heads, tags) = (format!("+refs/heads/*:{REFS}/heads/*"), format!("+refs/tags/*:{REFS}/tags/*"));
        self.git
            .run(&[
                "fetch",
                "--quiet",
                "--force",
                "--prune",
                "--no-tags",
                "--no-recurse-submodules",
                &remote.url,
                &heads,
                &tags,
            ])
            .await
            .map(drop)
    }

    /// When the remote was last reached.
    pub(super) fn fetched_at(&self) -> Option<SystemTime> {
        fs::metadata(self.dir.join(".git/FETCH_HEAD")).ok()?.modified().ok()
    }

    /// Whether the clone has a commit.
    pub(super) async fn has(&self, commit: &str) -> bool {
        self.git.run(&["cat-file", "-e", &format!("{commit}^{{commit}}")]).await.is_ok()
    }

    /// The last known commit of a branch or tag.
    pub(super) async fn known_tip(&self, name: &str) -> Option<String> {
        for kind in ["heads", "tags"] {
            let name = format!("{REFS}/{kind}/{name}^{{commit}}");
            if let Ok(commit) = self.git.run(&["rev-parse", "--verify", "--quiet", &name]).await {
                return Some(commit);
            }
        }
        None
    }

    /// Whether a commit is on the last known tip of a branch.
    pub(super) async fn is_ancestor(&self, ancestor: &str, commit: &str) -> bool {
        self.git.run(&["merge-base", "--is-ancestor", ancestor, commit]).await.is_ok()
    }

    /// Moves the work tree to a commit. With `force`, it repairs what an interrupted move has left.
    pub(super) async fn check_out(&self, commit: &str, force: bool) -> Result<(), GitError> {
        if !force {
            return self.git.run(&["checkout", "--quiet", "--detach", commit]).await.map(drop);
        }
        // A git that was killed leaves its lock.
        match fs::remove_file(self.dir.join(".git/index.lock")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        self.git.run(&["checkout", "--quiet", "--force", "--detach", commit]).await.map(drop)
    }

    /// Checks a commit out into another directory, which is replaced.
    pub(super) async fn check_out_to(&self, dir: &Path, commit: &str) -> Result<(), GitError> {
        self.remove_scratch(dir).await;
        private_file::create_dir(dir.parent().unwrap_or(dir))?;
        let path = dir.to_string_lossy();
        self.git.run(&["worktree", "add", "--quiet", "--force", "--detach", &path, commit]).await.map(drop)
    }

    /// Removes such a directory.
    pub(super) async fn remove_scratch(&self, dir: &Path) {
        let path = dir.to_string_lossy();
        let _ = self.git.run(&["worktree", "remove", "--force", "--force", &path]).await;
        let _ = fs::remove_dir_all(dir);
        let _ = self.git.run(&["worktree", "prune"]).await;
    }

    /// The git object of a path in a commit; `None` if the commit does not have it.
    pub(super) async fn object(&self, commit: &str, path: &str) -> Option<String> {
        self.git.run(&["rev-parse", "--verify", "--quiet", &format!("{commit}:{path}")]).await.ok()
    }
}
