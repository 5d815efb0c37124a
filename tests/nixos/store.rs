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
        let built = self.try_build_of(library, settings, attribute);
        built.unwrap_or_else(|error| panic!("{settings}: {error}"))
    }

    /// The same, or why it cannot be built.
    pub(crate) fn try_build_of(
        &self,
        library: &Library,
        settings: &str,
        attribute: &str,
    ) -> Result<PathBuf, String> {
        let mut arguments = library.arguments(settings).to_vec();
        arguments.extend(["--attr".to_owned(), attribute.to_owned()]);
        self.try_build(&arguments)
    }

    /// Builds what these arguments of nix-build name, or says what nix said against it.
    pub(crate) fn try_build(&self, arguments: &[String]) -> Result<PathBuf, String> {
        let output = self.command("nix-build").args(arguments).arg("--no-out-link").output().unwrap();
        if output.status.success() {
            Ok(String::from_utf8(output.stdout).unwrap().trim().into())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    /// Runs a command of nix about flakes in a directory.
    pub(crate) fn nix(&self, directory: &Path, arguments: &[String]) {
        let mut nix = self.command("nix");
        nix.args(["--extra-experimental-features", "nix-command flakes"]).args(arguments);
        let output = nix.current_dir(directory).output().expect("nix must be installed");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "nix {arguments:?}: {stderr}");
    }

    /// The names of the paths that a path brings with it, itself among them.
    pub(crate) fn closure(&self, path: &Path) -> BTreeSet<String> {
        let requisites = self.run("nix-store", &["--query", "--requisites", path.to_str().unwrap()]);
        let store = self.home.path().join("store").display().to_string();
        // The name follows a hash of 32 characters.
        requisites.lines().map(|path| path[store.len() + 34..].to_owned()).collect()
    }

    fn run(&self, program: &str, arguments: &[&str]) -> String {
        let output = self.command(program).args(arguments).output().expect("nix must be installed");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {arguments:?}: {stderr}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.envs(own_store(self.home.path())).env("NIX_CONFIG", CONFIGURATION);
        command.env("HOMELAB_DEPLOY_BINARY", crate::common::binary());
        command
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // What nix puts into a store is read-only, also for who wants to clear it away.
        let _ = Command::new("chmod").args(["-R", "u+w"]).arg(self.home.path()).status();
    }
}
