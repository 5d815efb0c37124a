//! A git repository that the test writes to.

use std::fs;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// A repository with a branch `master`.
pub struct Repo {
    folder: TempDir,
}

impl Repo {
    /// An empty repository.
    pub fn new() -> Self {
        let repo = Self { folder: TempDir::new().unwrap() };
        repo.git(&["init", "--quiet", "--initial-branch=master"]);
        repo
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A flake URL of it.
    pub fn url(&self) -> String {
        format!("git+file://{}", self.folder.path().display())
    }

    /// Runs git and gives what it prints.
    pub fn git(&self, args: &[&str]) -> String {
        let output = Command::new("git")
            .args(["-c", "user.name=test", "-c", "user.email=test@example.org"])
            .args(args)
            .current_dir(self.folder.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Writes a file, commits it, and gives the commit.
    pub fn commit(&self, file: &str, content: &str) -> String {
        fs::write(self.folder.path().join(file), content).unwrap();
        self.git(&["add", "--all"]);
        self.git(&[
            "commit",
            "--quiet",
            "--allow-empty",
            "--message",
            content.lines().next().unwrap_or("change"),
        ]);
        self.git(&["rev-parse", "HEAD"])
    }
}
