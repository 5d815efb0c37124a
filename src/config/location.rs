//! A setting and its source.

use crate::protocol::Name;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// A position in the configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The path of the configuration file.
    pub file: Arc<Path>,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    /// The context that the position is in; `None` outside all contexts.
    pub context: Option<Name>,
}

/// The source of a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettingSource {
    /// A flag such as `--nats-url`.
    Flag(String),
    /// An environment variable.
    Variable(String),
    /// A position in the configuration file.
    File(Location),
    /// The built-in default.
    Default,
}

/// A value and its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting<T> {
    /// The value itself.
    pub value: T,
    /// The flag, variable or position that set it.
    pub source: SettingSource,
}

impl<T> Setting<T> {
    /// A setting with its built-in default.
    pub fn from_default(value: T) -> Self {
        Self { value, source: SettingSource::Default }
    }
}

impl SettingSource {
    /// The position in the file, if the setting is from the file.
    pub fn location(&self) -> Option<&Location> {
        match self {
            Self::File(location) => Some(location),
            _ => None,
        }
    }

    /// The kind of source, as one word for JSON and tables.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Flag(_) => "flag",
            Self::Variable(_) => "environment",
            Self::File(Location { context: Some(_), .. }) => "context",
            Self::File(_) => "file",
            Self::Default => "default",
        }
    }
}

/// `FILE:LINE:COLUMN`, as compilers write it.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

impl fmt::Display for SettingSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) | Self::Variable(name) => f.write_str(name),
            Self::File(Location { file, context: Some(context), .. }) => {
                write!(f, "context {context} in {}", file.display())
            }
            Self::File(location) => write!(f, "{}", location.file.display()),
            Self::Default => f.write_str("default"),
        }
    }
}
