//! A Compose project: its files in the repository and on the host.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The Compose file of a service, in its directory of the repository.
const COMPOSE_FILE: &str = "docker-compose.yml";
/// The override of a service, in its directory of the host.
const OVERRIDE_FILE: &str = "docker-compose.override.yml";
/// The variables of a service, in its directory of the host.
const ENV_FILE: &str = ".env";

/// A Compose project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// The name, which is that of the service.
    pub name: String,
    /// The service's directory of the repository; relative paths of the Compose file start there.
    pub directory: PathBuf,
    /// The host's variables, if there is such a file.
    pub env_file: Option<PathBuf>,
    /// The host's override, if there is such a file.
    pub override_file: Option<PathBuf>,
    /// A generated override that pins images.
    pub pin_file: Option<PathBuf>,
}

impl Project {
    /// The project of a service in a work tree. `config` is the host's directory with one directory for each service.
    pub fn new(service: &str, tree: &Path, config: &Path) -> Self {
        let host = config.join(service);
        let present = |name: &str| Some(host.join(name)).filter(|path| path.symlink_metadata().is_ok());
        Self {
            name: service.to_owned(),
            directory: tree.join("services").join(service),
            env_file: present(ENV_FILE),
            override_file: present(OVERRIDE_FILE),
            pin_file: None,
        }
    }

    /// Adds a generated override that pins images.
    #[must_use]
    pub fn with_pins(self, file: Option<PathBuf>) -> Self {
        Self { pin_file: file, ..self }
    }

    /// The Compose file.
    pub fn compose_file(&self) -> PathBuf {
        self.directory.join(COMPOSE_FILE)
    }

    /// The program that decides whether the service is well; it need not exist.
    pub fn health_check(&self) -> PathBuf {
        self.directory.join("healthcheck.sh")
    }

    /// Whether Compose accepts a name as the name of a project.
    pub fn is_valid_name(name: &str) -> bool {
        let is_allowed =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
        name.bytes().all(is_allowed) && name.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
    }

    /// The arguments of Compose that select the project.
    pub(super) fn arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = ["--ansi", "never", "--project-name"].map(OsString::from).into();
        arguments.push((&self.name).into());
        arguments.extend(["--project-directory".into(), (&self.directory).into()]);
        let compose_file = self.compose_file();
        let files = [Some(&compose_file), self.override_file.as_ref(), self.pin_file.as_ref()];
        for file in files.into_iter().flatten() {
            arguments.extend(["--file".into(), file.into()]);
        }
        if let Some(file) = &self.env_file {
            arguments.extend(["--env-file".into(), file.into()]);
        }
        arguments
    }
}
