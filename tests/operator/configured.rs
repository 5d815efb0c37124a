//! A configuration file of a test's own, and the binary that reads it.

use crate::common::{Broker, binary};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// A home with a configuration file.
pub(crate) struct Home {
    folder: TempDir,
}

impl Home {
    /// With this text as the file.
    pub(crate) fn with(text: &str) -> Self {
        let home = Self::without();
        home.write(text);
        home
    }

    /// With no file yet.
    pub(crate) fn without() -> Self {
        Self { folder: TempDir::new().unwrap() }
    }

    /// A context `home` with the broker and the key of an operator, and these lines below it.
    pub(crate) fn of(broker: &Broker, operator: &str, lines: &str) -> Self {
        Self::with(&context(broker, operator, lines))
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Where the file lies.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("config/homelab-deploy/config.toml")
    }

    pub(crate) fn write(&self, text: &str) {
        fs::create_dir_all(self.file().parent().unwrap()).unwrap();
        fs::write(self.file(), text).unwrap();
    }

    /// A place in the file as errors name it.
    pub(crate) fn at(&self, place: &str) -> String {
        format!("{}:{place}", self.file().display())
    }

    /// The binary of somebody who lives here and has said nothing in the environment.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(binary());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("HOMELAB_DEPLOY_") {
                command.env_remove(name);
            }
        }
        command.env("HOME", self.path()).env("XDG_CONFIG_HOME", self.path().join("config"));
        command.env("XDG_STATE_HOME", self.path().join("state")).env("USER", "somebody");
        command.env_remove("NO_COLOR").stdin(Stdio::null());
        command
    }
}

/// The text of [`Home::of`].
pub(crate) fn context(broker: &Broker, operator: &str, lines: &str) -> String {
    let (url, key) = (broker.url(), broker.key(operator).display());
    format!("[contexts.home]\nnats_url = \"{url}\"\nnkey_file = \"{key}\"\n{lines}\n")
}
