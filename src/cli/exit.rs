//! Exit codes and their mapping from errors.

use crate::client::{DeployError, InventoryError, NameConflict, SelectionError};
use crate::config::ConfigError;
use crate::flake_update::{FailureKind, FlakeUpdateError};
use crate::nats::{ConnectError, ConnectionSettingsError, NatsError, NkeyError};
use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// All expected hosts completed.
    Success,
    /// At least one host failed or rejected the request.
    Failure,
    /// Invalid usage or configuration.
    Usage,
    /// No host answered, or an expected host did not.
    NoAnswer,
    /// The time limit passed while hosts were still working.
    TimedOut,
    /// The connection failed, or the server refused the key or the subject.
    Connection,
    /// Interrupted by Ctrl-C.
    Interrupted,
}

impl Exit {
    /// The exit code of the process.
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failure => 1,
            Self::Usage => 2,
            Self::NoAnswer => 3,
            Self::TimedOut => 4,
            Self::Connection => 5,
            Self::Interrupted => 130,
        }
    }

    /// Converts the exit code of a followed deployment.
    pub(super) fn from_code(code: u8) -> Self {
        match code {
            0 => Self::Success,
            3 => Self::NoAnswer,
            4 => Self::TimedOut,
            5 => Self::Connection,
            _ => Self::Failure,
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
pub(super) struct CommandError {
    pub(super) exit: Exit,
    /// The message for the operator.
    pub(super) error: anyhow::Error,
}

impl CommandError {
    pub(super) fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self { exit: Exit::Usage, error: flatten_causes(&error.into()) }
    }

    pub(super) fn failure(error: impl Into<anyhow::Error>) -> Self {
        Self { exit: Exit::Failure, error: flatten_causes(&error.into()) }
    }

    fn connection(error: impl Into<anyhow::Error>) -> Self {
        Self { exit: Exit::Connection, error: flatten_causes(&error.into()) }
    }
}

/// Joins an error and its causes into one message. A cause that the message already contains is not repeated.
fn flatten_causes(error: &anyhow::Error) -> anyhow::Error {
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
        $(impl From<$error> for CommandError {
            fn from(error: $error) -> Self {
                Self::$constructor(error)
            }
        })+
    };
}

exits! {
    ConfigError => usage,
    ConnectError => connection,
    NatsError => connection,
    NkeyError => usage,
    ConnectionSettingsError => usage,
    SelectionError => usage,
    InventoryError => usage,
    NameConflict => usage,
}

impl From<FlakeUpdateError> for CommandError {
    fn from(error: FlakeUpdateError) -> Self {
        let exit = match error.kind() {
            // Exit code 1 is reserved for hosts that do not build.
            FailureKind::Usage | FailureKind::Local => Exit::Usage,
            FailureKind::Remote => Exit::Connection,
            FailureKind::Interrupted => Exit::Interrupted,
        };
        Self { exit, error: error.into() }
    }
}

impl From<DeployError> for CommandError {
    fn from(error: DeployError) -> Self {
        match error {
            DeployError::Nats(error) => error.into(),
            DeployError::NoRunningJob { .. } => Self::failure(error),
            DeployError::NoAnswer { .. } => Self { exit: Exit::NoAnswer, error: error.into() },
            other => Self::usage(other),
        }
    }
}
