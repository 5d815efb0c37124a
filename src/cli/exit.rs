//! Exit codes, and how errors come by theirs.

use crate::bus::{ConnectError, LinkError, SeedError, SettingsError};
use crate::config::ConfigError;
use crate::deployer::{DeployError, RosterError, SelectionError};
use crate::flake_update::{Ground, UpdateError};
use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// Every expected host completed.
    Done,
    /// At least one host failed or rejected.
    Failed,
    /// Usage or configuration.
    Usage,
    /// No host answered, or an expected host stayed silent.
    Silent,
    /// The time ran out with hosts still working.
    Unfinished,
    /// Could not connect, or the server refused the key or the subject.
    Link,
    /// Ctrl-C.
    Interrupted,
}

impl Exit {
    /// The code, as scripts see it.
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Silent => 3,
            Self::Unfinished => 4,
            Self::Link => 5,
            Self::Interrupted => 130,
        }
    }

    /// The exit of a followed deployment.
    pub(super) fn of_outcome(code: u8) -> Self {
        match code {
            0 => Self::Done,
            3 => Self::Silent,
            4 => Self::Unfinished,
            _ => Self::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// An error that ends the command.
#[derive(Debug)]
pub(super) struct Failed {
    /// The exit code.
    pub(super) exit: Exit,
    /// What a person reads.
    pub(super) error: anyhow::Error,
}

impl Failed {
    pub(super) fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self { exit: Exit::Usage, error: told_once(&error.into()) }
    }

    pub(super) fn host(error: impl Into<anyhow::Error>) -> Self {
        Self { exit: Exit::Failed, error: told_once(&error.into()) }
    }

    fn link(error: impl Into<anyhow::Error>) -> Self {
        Self { exit: Exit::Link, error: told_once(&error.into()) }
    }
}

/// The chain of causes as one text. Many of our errors name their cause themselves; it is not told again.
fn told_once(error: &anyhow::Error) -> anyhow::Error {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    anyhow::Error::msg(text)
}

/// Gives each error type its exit code.
macro_rules! exits {
    ($($error:ty => $constructor:ident,)+) => {
        $(impl From<$error> for Failed {
            fn from(error: $error) -> Self {
                Self::$constructor(error)
            }
        })+
    };
}

exits! {
    ConfigError => usage,
    ConnectError => link,
    LinkError => link,
    SeedError => usage,
    SettingsError => usage,
    SelectionError => usage,
    RosterError => usage,
}

impl From<UpdateError> for Failed {
    fn from(error: UpdateError) -> Self {
        let exit = match error.ground() {
            // 1 says that a host does not build, and nothing else.
            Ground::Usage | Ground::Local => Exit::Usage,
            Ground::Link => Exit::Link,
            Ground::Interrupted => Exit::Interrupted,
        };
        Self { exit, error: error.into() }
    }
}

impl From<DeployError> for Failed {
    fn from(error: DeployError) -> Self {
        match error {
            DeployError::Link(error) => error.into(),
            DeployError::NothingRuns { .. } => Self::host(error),
            DeployError::Silent { .. } => Self { exit: Exit::Silent, error: error.into() },
            other => Self::usage(other),
        }
    }
}
