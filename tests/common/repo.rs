//! A git repository that the test can write to.

use super::TestDir;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A repository with a branch `master`.
pub struct Repo {
    dir: TestDir,
}

impl Repo {
    /// Creates an empty repository.
    pub fn new() -> Self {
        let repo = Self { dir: TestDir::new() };
        repo.git(&["init", "--quiet", "--initial-branch=master"]);
        repo
    }

    /// The path of the repository.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The flake URL of the repository.
    pub fn url(&self) -> String {
        format!("git+file://{}", self.dir.path().display())
    }

    /// Runs git and returns its output.
    pub fn git(&self, args: &[&str]) -> String {
        let output = Command::new("git")
            .args(["-c", "user.name=test", "-c", "user.email=test@example.org"])
            .args(args)
            .current_dir(self.dir.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Commits all changes with a signature, and returns the commit.
    pub fn commit_signed(&self, key: &SigningKey, message: &str) -> String {
        let signing_key = format!("user.signingKey={}", key.key.display());
        let sign = ["-c", "gpg.format=ssh", "-c", &signing_key, "commit", "--gpg-sign"];
        self.git(&[&sign[..], &["--quiet", "--all", "--allow-empty", "--message", message]].concat());
        self.git(&["rev-parse", "HEAD"])
    }

    /// Writes a file, commits it, and returns the commit.
    pub fn commit(&self, file: &str, content: &str) -> String {
        fs::write(self.dir.path().join(file), content).unwrap();
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

/// An ssh key of alice@example.org that signs commits.
pub struct SigningKey {
    key: PathBuf,
    /// The file for `--commit-signers` that lists only this key.
    pub signers: PathBuf,
}

impl SigningKey {
    /// Generates a key in a directory.
    pub fn generate(dir: &Path) -> Self {
        let (key, signers) = (dir.join("alice"), dir.join("signers"));
        let made =
            Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status();
        assert!(made.unwrap().success());
        let public = fs::read_to_string(key.with_extension("pub")).unwrap();
        fs::write(&signers, format!("alice@example.org {public}")).unwrap();
        Self { key, signers }
    }
}
