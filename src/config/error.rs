//! What can be wrong with the configuration file, in sentences that say where and what to write instead.

use crate::protocol::Name;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It is there and cannot be read.
    #[error("could not read the configuration {}: {source}; make it readable, or move it away", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// It says something that cannot be.
    #[error("{}:{}{}", path.display(), first(problems), more(problems))]
    Wrong {
        /// The file.
        path: PathBuf,
        /// What is wrong, in the order of the file; at least one.
        problems: Vec<Problem>,
    },
    /// A context that is named and not there.
    #[error("{who} names the context {name}, but {}{}", path.display(), there_are(known.as_deref(), name))]
    NoSuchContext {
        /// Who names it: a flag, a variable, or the file.
        who: String,
        /// The name.
        name: Name,
        /// The file.
        path: PathBuf,
        /// The contexts that are there; nothing where the file itself is not.
        known: Option<Vec<Name>>,
    },
}

/// One thing that is wrong in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    /// What is wrong.
    pub complaint: Complaint,
}

/// What is wrong at a place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Complaint {
    /// No TOML.
    #[error("{0}")]
    Syntax(String),
    /// The secret itself. It is not repeated.
    #[error(
        "here stands a seed, and whoever reads this file has it: make a new key with `homelab-deploy keys new`, and write the name of its file here"
    )]
    Seed,
    /// A key that nobody reads.
    #[error("unknown key {key:?} in {section}; {advice}")]
    UnknownKey {
        /// The key.
        key: String,
        /// Where it stands.
        section: String,
        /// The nearest key, or all that there are.
        advice: String,
    },
    /// A number where a text belongs, and the like.
    #[error("{key} is {found}; write {wanted}")]
    WrongType {
        /// The key.
        key: String,
        /// What stands there.
        found: &'static str,
        /// What belongs there.
        wanted: &'static str,
    },
    /// A value of the right type that cannot be.
    #[error("{key}: {why}")]
    BadValue {
        /// The key.
        key: String,
        /// What is wrong with it.
        why: String,
    },
    /// A key that must be there.
    #[error("{key} has no {missing}; write {wanted}")]
    Missing {
        /// Where it is missing.
        key: String,
        /// What is missing.
        missing: &'static str,
        /// An example.
        wanted: &'static str,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.complaint)
    }
}

fn first(problems: &[Problem]) -> String {
    problems.first().map(ToString::to_string).unwrap_or_default()
}

fn more(problems: &[Problem]) -> String {
    match problems.len() {
        0 | 1 => String::new(),
        count => format!(" (and {} more; `homelab-deploy config check` lists them)", count - 1),
    }
}

fn there_are(known: Option<&[Name]>, wanted: &Name) -> String {
    match known {
        None => format!(" does not exist; write [contexts.{wanted}] with a nats_url into it"),
        Some([]) => format!(" has no contexts; write [contexts.{wanted}] with a nats_url into it"),
        Some(known) => {
            let known: Vec<_> = known.iter().map(Name::as_str).collect();
            format!(" has no such context; it has {}", known.join(", "))
        }
    }
}
