//! The configuration as a whole, and where it lies.

use super::parse;
use super::section::{Console, Section};
use super::{ConfigError, Setting};
use crate::protocol::Name;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where configurations for everybody lie, unless the environment says otherwise.
const SYSTEM: &str = "/etc/xdg";
/// Below the folder of configurations.
const FILE: &str = "homelab-deploy/config.toml";

/// Everything that the file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where it lies, or would.
    pub file: Arc<Path>,
    /// Whether there is such a file.
    pub found: bool,
    /// The context it names for use where nobody names another.
    pub(super) context: Option<Setting<Name>>,
    /// What holds for every context.
    pub(super) top: Section,
    pub(super) contexts: BTreeMap<Name, Section>,
    pub(super) console: Console,
}

impl Config {
    /// Reads the file of this user, else the first one for everybody; where none is there, nothing is said. `variable` looks
    /// the environment up.
    pub fn load(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, ConfigError> {
        let folder = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let home = folder("HOME");
        let below_home = || home.as_ref().map(|home| home.join(".config"));
        let Some(path) = folder("XDG_CONFIG_HOME").or_else(below_home).map(|folder| folder.join(FILE)) else {
            // Whoever has no home has no file either; never one of the folder we happen to stand in.
            return Ok(Self::empty(Path::new("~/.config").join(FILE)));
        };
        let everybody = variable("XDG_CONFIG_DIRS").filter(|value| !value.is_empty());
        let everybody = everybody.unwrap_or_else(|| SYSTEM.into());
        let folders = std::env::split_paths(&everybody).filter(|folder| folder.is_absolute());
        for path in [path.clone()].into_iter().chain(folders.map(|folder| folder.join(FILE))) {
            match std::fs::read_to_string(&path) {
                Ok(text) => return Self::parse(&text, &path, home.as_deref()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(ConfigError::Read { path, source }),
            }
        }
        Ok(Self::empty(path))
    }

    /// Reads the file at `path`, whoever's it is.
    pub fn load_file(path: &Path, variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, ConfigError> {
        let home = variable("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        Self::parse(&text, path, home.as_deref())
    }

    /// Reads the text of the file at `path`. `home` is what `~` stands for.
    pub fn parse(text: &str, path: &Path, home: Option<&Path>) -> Result<Self, ConfigError> {
        parse::config(text, path, home)
            .map_err(|problems| ConfigError::Wrong { path: path.to_owned(), problems })
    }

    /// The names of the contexts.
    pub fn contexts(&self) -> impl Iterator<Item = &Name> {
        self.contexts.keys()
    }

    /// The context that the file names for use where nobody names another.
    pub fn default_context(&self) -> Option<&Setting<Name>> {
        self.context.as_ref()
    }

    fn empty(path: PathBuf) -> Self {
        Self {
            file: path.into(),
            found: false,
            context: None,
            top: Section::default(),
            contexts: BTreeMap::new(),
            console: Console::default(),
        }
    }
}
