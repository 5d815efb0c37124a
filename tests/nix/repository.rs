//! A real git repository in a temporary folder, pushed to a bare one that a server can show.

use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// A clone to work in, and the bare `infra.git` that it pushes to. Both go away with it.
pub(crate) struct Repository {
    clone: TempDir,
    remotes: TempDir,
}

impl Repository {
    /// Nothing committed yet; the default branch is `main`.
    pub(crate) fn empty() -> Self {
        Self::empty_in(&std::env::temp_dir())
    }

    /// The same with both folders below `parent`.
    pub(crate) fn empty_in(parent: &Path) -> Self {
        let folder = || TempDir::new_in(parent).unwrap();
        let repository = Self { clone: folder(), remotes: folder() };
        let bare = repository.remotes.path().join("infra.git");
        git(repository.remotes.path(), &["init", "--quiet", "--bare", "--initial-branch=main", "infra.git"]);
        git(repository.clone.path(), &["init", "--quiet", "--initial-branch=main"]);
        git(repository.clone.path(), &["remote", "add", "origin", bare.to_str().unwrap()]);
        repository
    }

    /// One commit on `main`.
    pub(crate) fn new() -> Self {
        let repository = Self::empty();
        repository.commit("first");
        repository.push();
        repository
    }

    /// The folder that holds `infra.git`.
    pub(crate) fn remotes(&self) -> &Path {
        self.remotes.path()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.clone.path().join(name), text).unwrap();
    }

    /// Commits everything, with `text` as the file `version`, and gives the commit.
    pub(crate) fn commit(&self, text: &str) -> String {
        self.write("version", text);
        self.git(&["add", "."]);
        self.git(&["commit", "--quiet", "--message", text]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// All branches and tags.
    pub(crate) fn push(&self) {
        self.git(&[
            "push",
            "--quiet",
            "--force",
            "origin",
            "refs/heads/*:refs/heads/*",
            "refs/tags/*:refs/tags/*",
        ]);
    }

    /// Runs git in the clone and gives what it printed.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        git(self.clone.path(), arguments)
    }
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .current_dir(folder)
        // A hook that runs the tests must not lend them its repository.
        .env_remove("GIT_DIR")
        .env_remove("GIT_INDEX_FILE")
        .env_remove("GIT_WORK_TREE")
        .envs([("GIT_AUTHOR_NAME", "Test"), ("GIT_AUTHOR_EMAIL", "test@example.org")])
        .envs([("GIT_COMMITTER_NAME", "Test"), ("GIT_COMMITTER_EMAIL", "test@example.org")])
        .args(arguments)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {arguments:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
