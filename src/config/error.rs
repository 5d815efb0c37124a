//! Errors in the configuration file: where they are, and what to write instead.

use crate::protocol::Name;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// An error that makes the configuration unusable.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file exists but cannot be read.
    #[error("could not read the configuration file {}: {source}; make it readable, or move it away", path.display())]
    Read {
        /// The path of the configuration file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The file has invalid content. Shows the first problem.
    #[error("{}", first_problem(.0))]
    Invalid(InvalidFile),
    /// The selected context does not exist.
    #[error("{who} names the context {name}, but {}{}", path.display(), known_contexts(known.as_deref(), name))]
    NoSuchContext {
        /// The source of the name: a flag, a variable or the file.
        who: String,
        /// The name of the missing context.
        name: Name,
        /// The path of the configuration file.
        path: PathBuf,
        /// The existing contexts; `None` if the file does not exist.
        known: Option<Vec<Name>>,
    },
}

/// A TOML file with invalid content. Shows all problems.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.lines().collect::<Vec<_>>().join("\n"))]
pub struct InvalidFile {
    /// The path of the file.
    pub path: PathBuf,
    /// The problems, in the order of the file; at least one.
    pub problems: Vec<ConfigProblem>,
}

impl InvalidFile {
    /// The problems with their positions, `FILE:LINE:COLUMN: …`.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.problems.iter().map(|problem| format!("{}:{problem}", self.path.display()))
    }
}

/// A problem in a file, with its position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    /// The kind of problem.
    pub kind: ProblemKind,
}

/// The kinds of problems in the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProblemKind {
    /// Invalid TOML.
    #[error("{0}")]
    Syntax(String),
    /// A seed instead of a path or a public key. The message does not repeat it, because it is secret.
    #[error(
        "expected a path or a public key but found a seed, which is now exposed: generate a new key with `homelab-deploy keys new`, and \
         put the path of its file or its public key here"
    )]
    Seed,
    /// A key that this version does not know.
    #[error("unknown key {key:?} in {section}; {advice}")]
    UnknownKey {
        /// The unknown key.
        key: String,
        /// The section that contains the key.
        section: String,
        /// The closest known key, or all known keys.
        advice: String,
    },
    /// A value of the wrong type, such as a number instead of a string.
    #[error("{key}: expected {expected}, found {found}")]
    WrongType {
        /// The key of the value.
        key: String,
        /// The type of the value, with its article.
        found: &'static str,
        /// The expected type, with its article.
        expected: &'static str,
    },
    /// A value of the right type that is not valid.
    #[error("{key}: {reason}")]
    BadValue {
        /// The key of the value.
        key: String,
        /// Why the value is not valid.
        reason: String,
    },
    /// A required key is missing.
    #[error("{key} has no {missing}; write {example}")]
    Missing {
        /// The table that lacks the key.
        key: String,
        /// The missing key.
        missing: &'static str,
        /// An example of what to write.
        example: &'static str,
    },
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.kind)
    }
}

fn first_problem(file: &InvalidFile) -> String {
    let first = file.lines().next().unwrap_or_default();
    match file.problems.len() {
        0 | 1 => first,
        count => format!("{first} (and {} more; `homelab-deploy config check` lists them)", count - 1),
    }
}

fn known_contexts(known: Option<&[Name]>, wanted: &Name) -> String {
    match known {
        None => format!(" does not exist; add [contexts.{wanted}] with a nats_url"),
        Some([]) => format!(" has no contexts; add [contexts.{wanted}] with a nats_url"),
        Some(known) => {
            let known: Vec<_> = known.iter().map(Name::as_str).collect();
            format!(" has no such context; it has {}", known.join(", "))
        }
    }
}
