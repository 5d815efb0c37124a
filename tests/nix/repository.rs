//! A real git repository in a temporary directory, which pushes to a bare one for a test server.

use crate::common::TestDir;
use std::path::Path;
use std::process::Command;

/// A clone and the bare `infra.git` that it pushes to. Both are removed on drop.
pub(crate) struct Repository {
    clone: TestDir,
    remotes: TestDir,
}

impl Repository {
    /// A repository without commits, with the default branch `main`.
    pub(crate) fn empty() -> Self {
        Self::empty_in(&std::env::temp_dir())
    }

    /// Like [`Self::empty`], with both directories below `parent`.
    pub(crate) fn empty_in(parent: &Path) -> Self {
        let dir = || TestDir::new_in(parent);
        let repository = Self { clone: dir(), remotes: dir() };
        let bare = repository.remotes.path().join("infra.git");
        git(repository.remotes.path(), &["init", "--quiet", "--bare", "--initial-branch=main", "infra.git"]);
        git(repository.clone.path(), &["init", "--quiet", "--initial-branch=main"]);
        git(repository.clone.path(), &["remote", "add", "origin", bare.to_str().unwrap()]);
        repository
    }

    /// A repository with one commit on `main`.
    pub(crate) fn new() -> Self {
        let repository = Self::empty();
        repository.commit("first");
        repository.push();
        repository
    }

    /// The directory that contains `infra.git`.
    pub(crate) fn remotes(&self) -> &Path {
        self.remotes.path()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.clone.path().join(name), text).unwrap();
    }

    /// Writes `text` to the file `version`, commits everything, and returns the commit.
    pub(crate) fn commit(&self, text: &str) -> String {
        self.write("version", text);
        self.git(&["add", "."]);
        self.git(&["commit", "--quiet", "--message", text]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// Pushes all branches and tags.
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

    /// Runs git in the clone and returns its stdout.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        git(self.clone.path(), arguments)
    }
}

fn git(dir: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .current_dir(dir)
        // If a git hook runs the tests, its variables would direct git to its repository.
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
