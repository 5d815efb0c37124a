//! A temporary home directory with a configuration file, and commands that use it.

use crate::common::{NatsServer, binary};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// A temporary home directory.
pub(crate) struct Home {
    directory: TempDir,
}

impl Home {
    /// A home with this configuration file.
    pub(crate) fn with(text: &str) -> Self {
        let home = Self::without();
        home.write(text);
        home
    }

    /// A home without a configuration file.
    pub(crate) fn without() -> Self {
        Self { directory: TempDir::new().unwrap() }
    }

    /// A home whose file has a context `home` with this server, the key of an operator, and these lines.
    pub(crate) fn of(nats: &NatsServer, operator: &str, lines: &str) -> Self {
        Self::with(&context(nats, operator, lines))
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Path of the configuration file.
    pub(crate) fn file(&self) -> PathBuf {
        self.directory.path().join("config/homelab-deploy/config.toml")
    }

    pub(crate) fn write(&self, text: &str) {
        fs::create_dir_all(self.file().parent().unwrap()).unwrap();
        fs::write(self.file(), text).unwrap();
    }

    /// A location in the file, as errors name it.
    pub(crate) fn at(&self, place: &str) -> String {
        format!("{}:{place}", self.file().display())
    }

    /// A command with this home and an otherwise empty environment.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(binary());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("HOMELAB_DEPLOY_") {
                command.env_remove(name);
            }
        }
        command.env("HOME", self.path()).env("XDG_CONFIG_HOME", self.path().join("config"));
        command.env("XDG_STATE_HOME", self.path().join("state")).env("USER", "someone");
        command.env("XDG_CACHE_HOME", self.path().join("cache"));
        command.env_remove("NO_COLOR").stdin(Stdio::null());
        command
    }
}

/// The content of the file of [`Home::of`].
pub(crate) fn context(nats: &NatsServer, operator: &str, lines: &str) -> String {
    let (url, key) = (nats.url(), nats.key(operator).display());
    format!("[contexts.home]\nnats_url = \"{url}\"\nnkey_file = \"{key}\"\n{lines}\n")
}
