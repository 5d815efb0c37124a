//! A setting and where it comes from.

use crate::protocol::Name;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// A place in the configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: Arc<Path>,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    /// The context it belongs to; none above all contexts.
    pub context: Option<Name>,
}

/// Where a setting comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A flag, `--nats-url`.
    Flag(String),
    /// A variable of the environment.
    Variable(String),
    /// The configuration file.
    File(Place),
    /// Nobody said anything else.
    Default,
}

/// A value and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting<T> {
    /// The value.
    pub value: T,
    /// Where it comes from.
    pub source: Source,
}

impl<T> Setting<T> {
    /// A value that nobody has set.
    pub fn default_of(value: T) -> Self {
        Self { value, source: Source::Default }
    }
}

impl Source {
    /// The place in the file, where it comes from there.
    pub fn place(&self) -> Option<&Place> {
        match self {
            Self::File(place) => Some(place),
            _ => None,
        }
    }

    /// The kind of source in one word.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Flag(_) => "flag",
            Self::Variable(_) => "environment",
            Self::File(Place { context: Some(_), .. }) => "context",
            Self::File(_) => "file",
            Self::Default => "default",
        }
    }
}

/// `FILE:LINE:COLUMN`, as compilers write it.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) | Self::Variable(name) => f.write_str(name),
            Self::File(Place { file, context: Some(context), .. }) => {
                write!(f, "context {context} in {}", file.display())
            }
            Self::File(place) => write!(f, "{}", place.file.display()),
            Self::Default => f.write_str("default"),
        }
    }
}
