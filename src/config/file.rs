//! The parsed configuration file and its location.

use super::parse;
use super::section::{ConsoleSection, Section};
use super::{ConfigError, SelectedConfig, Setting, SettingSource};
use crate::protocol::Name;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The default of `XDG_CONFIG_DIRS`, the directories of system-wide configuration files.
const SYSTEM: &str = "/etc/xdg";
/// The path below a configuration directory.
const FILE: &str = "homelab-deploy/config.toml";

/// The content of the configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The path of the file, or the path where it would be.
    pub file: Arc<Path>,
    /// Whether the file exists.
    pub found: bool,
    /// The default context, used if no flag or variable selects one.
    pub(super) context: Option<Setting<Name>>,
    /// The settings that apply to every context.
    pub(super) global: Section,
    pub(super) contexts: BTreeMap<Name, Section>,
    pub(super) console: ConsoleSection,
}

impl Config {
    /// Reads the user's file, or else the first system-wide one. If there is no file, the configuration is empty.
    /// `variable` looks up an environment variable.
    pub fn load(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, ConfigError> {
        let directory = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let home = directory("HOME");
        let below_home = || home.as_ref().map(|home| home.join(".config"));
        let Some(path) = directory("XDG_CONFIG_HOME").or_else(below_home).map(|dir| dir.join(FILE)) else {
            // Without a home directory there is no user file. A path relative to the working directory must not be
            // used.
            return Ok(Self::empty(Path::new("~/.config").join(FILE)));
        };
        let system_dirs = variable("XDG_CONFIG_DIRS").filter(|value| !value.is_empty());
        let system_dirs = system_dirs.unwrap_or_else(|| SYSTEM.into());
        let dirs = std::env::split_paths(&system_dirs).filter(|dir| dir.is_absolute());
        for path in [path.clone()].into_iter().chain(dirs.map(|dir| dir.join(FILE))) {
            match std::fs::read_to_string(&path) {
                Ok(text) => return Self::parse(&text, &path, home.as_deref()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(ConfigError::Read { path, source }),
            }
        }
        Ok(Self::empty(path))
    }

    /// Reads the file at `path`.
    pub fn load_file(path: &Path, variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, ConfigError> {
        let home = variable("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        Self::parse(&text, path, home.as_deref())
    }

    /// Parses the text of the file at `path`. `home` is the directory that `~` expands to.
    pub fn parse(text: &str, path: &Path, home: Option<&Path>) -> Result<Self, ConfigError> {
        parse::config(text, path, home).map_err(ConfigError::Invalid)
    }

    /// The names of the contexts.
    pub fn contexts(&self) -> impl Iterator<Item = &Name> {
        self.contexts.keys()
    }

    /// The default context, used if no flag or variable selects one.
    pub fn default_context(&self) -> Option<&Setting<Name>> {
        self.context.as_ref()
    }

    /// Selects a context: `requested`, or else the file's default context, or else the only context.
    pub fn select(&self, requested: Option<Setting<Name>>) -> Result<SelectedConfig, ConfigError> {
        SelectedConfig::new(self, requested)
    }

    pub(super) fn sole_context(&self) -> Option<Setting<Name>> {
        let mut contexts = self.contexts.iter();
        let (name, section) = contexts.next()?;
        let location = section.location.clone().filter(|_| contexts.next().is_none())?;
        Some(Setting { value: name.clone(), source: SettingSource::File(location) })
    }

    pub(super) fn no_such_context(&self, context: &Setting<Name>) -> ConfigError {
        ConfigError::NoSuchContext {
            who: context.source.to_string(),
            name: context.value.clone(),
            path: self.file.to_path_buf(),
            known: self.found.then(|| self.contexts.keys().cloned().collect()),
        }
    }

    /// The settings of `[console]`.
    pub fn console(&self) -> &ConsoleSection {
        &self.console
    }

    fn empty(path: PathBuf) -> Self {
        Self {
            file: path.into(),
            found: false,
            context: None,
            global: Section::default(),
            contexts: BTreeMap::new(),
            console: ConsoleSection::default(),
        }
    }
}
