//! Real nix with a separate store, which builds parts of an evaluated host.

use crate::common::TestDir;
use crate::evaluate::Library;
use crate::own_store::{CONFIGURATION, own_store};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A store, removed on drop.
pub(crate) struct Store {
    home: TestDir,
}

impl Store {
    pub(crate) fn new() -> Self {
        Self { home: TestDir::new() }
    }

    /// Builds one attribute of a host with these settings.
    pub(crate) fn build(&self, library: &Library, settings: &str, attribute: &str) -> PathBuf {
        let built = self.try_build_of(library, settings, attribute);
        built.unwrap_or_else(|error| panic!("{settings}: {error}"))
    }

    /// The same; returns the error of nix if the build fails.
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

    /// Runs nix-build with these arguments; returns its error if the build fails.
    pub(crate) fn try_build(&self, arguments: &[String]) -> Result<PathBuf, String> {
        let output = self.command("nix-build").args(arguments).arg("--no-out-link").output().unwrap();
        if output.status.success() {
            Ok(String::from_utf8(output.stdout).unwrap().trim().into())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    /// Runs a flake command of nix in a directory.
    pub(crate) fn nix(&self, directory: &Path, arguments: &[String]) {
        let mut nix = self.command("nix");
        nix.args(["--extra-experimental-features", "nix-command flakes"]).args(arguments);
        let output = nix.current_dir(directory).output().expect("nix must be installed");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "nix {arguments:?}: {stderr}");
    }

    /// The names of the store paths in the closure of a path.
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
