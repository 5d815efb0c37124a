//! The operator's configuration file: contexts, each with a server, credentials and settings, and their precedence.
//!
//! Parsing is a pure function of the text; only [`Config::load`] and [`Config::load_file`] read the disk.
//!
//! See ARCHITECTURE.md, "The operator's side".

mod error;
mod file;
mod location;
mod parse;
mod reader;
mod section;
mod selected;

pub use error::{ConfigError, ConfigProblem, InvalidFile, ProblemKind};
pub use file::Config;
pub use location::{Location, Setting, SettingSource};
pub(crate) use reader::{ConfigReader, TomlKey, TomlValue, expected_names};
pub use section::{ConsoleEntry, ConsoleSection, ExpectedHost, FileAlias, Unproven, alias_key};
pub use selected::{DEFAULT_SHELL, SelectedConfig, default_confirm_tiers};
