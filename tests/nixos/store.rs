//! A real nix with a separate store, in which parts of an evaluated host are built.

use crate::evaluate::Library;
use crate::own_store::{CONFIGURATION, own_store};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// The store. It goes away with its owner.
pub(crate) struct Store {
    home: TempDir,
}

impl Store {
    pub(crate) fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap() }
    }

    /// Builds one attribute of what a host with these settings becomes, and nothing else.
    pub(crate) fn build(&self, library: &Library, settings: &str, attribute: &str) -> PathBuf {
        let arguments = library.arguments(settings);
        let mut arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        arguments.extend(["--attr", attribute, "--no-out-link"]);
        self.run("nix-build", &arguments).trim().into()
    }

    /// The names of the paths that a path brings with it, itself among them.
    pub(crate) fn closure(&self, path: &Path) -> BTreeSet<String> {
        let requisites = self.run("nix-store", &["--query", "--requisites", path.to_str().unwrap()]);
        let store = self.home.path().join("store").display().to_string();
        // The name follows a hash of 32 characters.
        requisites.lines().map(|path| path[store.len() + 34..].to_owned()).collect()
    }

    fn run(&self, program: &str, arguments: &[&str]) -> String {
        let output = Command::new(program)
            .args(arguments)
            .envs(own_store(self.home.path()))
            .env("NIX_CONFIG", CONFIGURATION)
            .output()
            .expect("nix must be installed");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {arguments:?}: {stderr}");
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // What nix puts into a store is read-only, also for who wants to clear it away.
        let _ = Command::new("chmod").args(["-R", "u+w"]).arg(self.home.path()).status();
    }
}
