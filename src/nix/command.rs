//! Runs the programs of nix on this host, and describes their failures.

use crate::git::{Credentials, EXPERIMENTAL_FEATURES, last_lines, without_userinfo};
use crate::sandbox::Sandbox;
use crate::unattended::{ProcessOutput, captured, run};
use std::ffi::OsString;
use std::{fmt, io};
use tokio::process::Command;

/// Keeps the `nixConfig` of a flake from setting options such as `post-build-hook`, even if this host's settings or an earlier
/// confirmation by this user allow it.
const IGNORE_FLAKE_CONFIG: [&str; 3] = ["--option", "accept-flake-config", "false"];
const ACCEPT_FLAKE_CONFIG: [&str; 3] = ["--option", "accept-flake-config", "true"];

/// The nix on the `PATH`, with its own configuration and the environment of this process.
#[derive(Clone, Default)]
pub struct Nix {
    environment: Vec<(OsString, OsString)>,
    credentials: Credentials,
    /// Whether nix may only fetch from caches and must not build.
    pub(super) fetch_only: bool,
    accept_flake_config: bool,
    sandbox: Option<Sandbox>,
}

impl Nix {
    /// Creates a nix without credentials and sandbox.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets an environment variable for all programs of nix, such as `NIX_CONFIG`.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Sets the credentials for the servers of flakes and their inputs.
    #[must_use]
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = credentials;
        self
    }

    /// Restricts nix to fetching from caches: it builds nothing, neither here nor on remote builders.
    #[must_use]
    pub fn fetch_only(mut self, only: bool) -> Self {
        self.fetch_only = only;
        self
    }

    /// Allows the `nixConfig` of a flake to set nix options.
    #[must_use]
    pub fn accept_flake_config(mut self, accepts: bool) -> Self {
        self.accept_flake_config = accepts;
        self
    }

    /// Runs `nix` in a sandbox while it fetches, evaluates and builds.
    #[must_use]
    pub fn with_sandbox(mut self, sandbox: Option<Sandbox>) -> Self {
        self.sandbox = sandbox;
        self
    }

    /// The `nix` program with the experimental features enabled.
    pub(super) fn command(&self) -> Command {
        let mut command = match &self.sandbox {
            Some(sandbox) => self.with_environment(sandbox.command("nix")),
            None => self.program("nix"),
        };
        command.args(EXPERIMENTAL_FEATURES);
        command.args(if self.accept_flake_config { ACCEPT_FLAKE_CONFIG } else { IGNORE_FLAKE_CONFIG });
        command
    }

    /// Whether nix runs in a sandbox.
    pub(super) fn is_sandboxed(&self) -> bool {
        self.sandbox.is_some()
    }

    /// One of nix's older programs, such as `nix-env`.
    pub(super) fn program(&self, name: &str) -> Command {
        self.with_environment(captured(name))
    }

    fn with_environment(&self, mut command: Command) -> Command {
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        self.credentials.apply_to(&mut command);
        command
    }
}

/// Shows only the names of the variables because the values may be secrets.
impl fmt::Debug for Nix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.environment.iter().map(|(name, _)| name)).finish()
    }
}

/// A failed operation on the store or on a profile.
#[derive(Debug, thiserror::Error)]
#[error("could not {operation}: {cause}")]
pub struct NixError {
    /// The operation, to follow "could not".
    pub operation: String,
    /// Why it failed.
    #[source]
    pub cause: NixCause,
}

/// Why a call of nix failed.
#[derive(Debug, thiserror::Error)]
pub enum NixCause {
    /// nix is not on the `PATH`.
    #[error("nix is not installed here; put it on the service's PATH")]
    Missing,
    /// nix failed. Holds its last lines.
    #[error("{0}")]
    Failed(String),
    /// The program could not be run, or a file could not be accessed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The output of nix or the state of a profile is unexpected.
    #[error("{0}")]
    UnexpectedOutput(String),
}

impl NixCause {
    /// Converts the error of spawning a program.
    pub(super) fn from_spawn(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::NotFound { Self::Missing } else { Self::Io(error) }
    }

    /// Adds the operation that failed.
    pub(super) fn context(self, operation: impl Into<String>) -> NixError {
        NixError { operation: operation.into(), cause: self }
    }
}

/// Runs a program of nix and returns its stdout, at most `max` bytes of it.
pub(super) async fn run_command(command: Command, max: u64) -> Result<String, NixCause> {
    let output = run(command, max).await.map_err(NixCause::from_spawn)?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(failure(&output))
}

/// The cause from the output of a failed program.
pub(super) fn failure(output: &ProcessOutput) -> NixCause {
    let message = last_lines(&without_userinfo(&output.stderr));
    NixCause::Failed(message.unwrap_or_else(|| format!("nix ended with {}", output.status)))
}
