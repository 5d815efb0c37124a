//! How nix is called on this host, and what is said when a call fails.

use super::process::Ended;
use super::remote::last_lines;
use super::secrets::without_userinfo;
use super::{Credentials, Sandbox, process};
use std::ffi::OsString;
use std::{fmt, io};
use tokio::process::Command;

/// What the `nix` command needs on hosts that have not switched it on.
pub(super) const FEATURES: [&str; 2] = ["--extra-experimental-features", "nix-command flakes"];
/// Keeps the `nixConfig` of a flake from setting options such as `post-build-hook`, also where the settings of this host or
/// an earlier answer of this user permit it.
const IGNORE_FLAKE_CONFIG: [&str; 3] = ["--option", "accept-flake-config", "false"];
const ACCEPT_FLAKE_CONFIG: [&str; 3] = ["--option", "accept-flake-config", "true"];

/// nix as this host has it: found on the `PATH`, set up by its own configuration and this environment.
#[derive(Clone, Default)]
pub struct Nix {
    environment: Vec<(OsString, OsString)>,
    credentials: Credentials,
    /// Whether what no cache holds must not be built.
    pub(super) only_fetches: bool,
    accepts_flake_config: bool,
    sandbox: Option<Sandbox>,
}

impl Nix {
    /// nix in the environment of this process.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a variable for every program of nix, such as `NIX_CONFIG`.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Credentials for the servers of flakes and their inputs, for every program of nix.
    #[must_use]
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = credentials;
        self
    }

    /// Lets nix fetch what caches hold and build nothing, neither here nor on other machines.
    #[must_use]
    pub fn only_fetching(mut self, only: bool) -> Self {
        self.only_fetches = only;
        self
    }

    /// Lets the `nixConfig` of a flake set options of nix.
    #[must_use]
    pub fn accepting_flake_config(mut self, accepts: bool) -> Self {
        self.accepts_flake_config = accepts;
        self
    }

    /// Has `nix` fetch, evaluate and build in a sandbox.
    #[must_use]
    pub fn within(mut self, sandbox: Option<Sandbox>) -> Self {
        self.sandbox = sandbox;
        self
    }

    /// `nix` with its newer commands switched on.
    pub(super) fn nix(&self) -> Command {
        let mut command = match &self.sandbox {
            Some(sandbox) => self.with_environment(sandbox.command("nix")),
            None => self.program("nix"),
        };
        command.args(FEATURES);
        command.args(if self.accepts_flake_config { ACCEPT_FLAKE_CONFIG } else { IGNORE_FLAKE_CONFIG });
        command
    }

    /// Whether it has a sandbox.
    pub(super) fn is_sandboxed(&self) -> bool {
        self.sandbox.is_some()
    }

    /// One of nix's older programs.
    pub(super) fn program(&self, name: &str) -> Command {
        self.with_environment(process::command(name))
    }

    fn with_environment(&self, mut command: Command) -> Command {
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        self.credentials.give(&mut command);
        command
    }
}

/// Values may be secrets.
impl fmt::Debug for Nix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.environment.iter().map(|(name, _)| name)).finish()
    }
}

/// Why something could not be done with the store, or with a profile.
#[derive(Debug, thiserror::Error)]
#[error("could not {doing}: {cause}")]
pub struct NixError {
    /// What was being done, and to what.
    pub doing: String,
    /// Why it failed.
    #[source]
    pub cause: NixCause,
}

/// Why a call of nix failed.
#[derive(Debug, thiserror::Error)]
pub enum NixCause {
    /// There is no nix on the `PATH`.
    #[error("nix is not installed here; put it on the service's PATH")]
    Missing,
    /// nix refused; these are its last lines.
    #[error("{0}")]
    Refused(String),
    /// The program or a file could not be used.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// What nix or the profile says makes no sense.
    #[error("{0}")]
    Odd(String),
}

impl NixCause {
    /// What became of starting a program of nix.
    pub(super) fn of_start(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::NotFound { Self::Missing } else { Self::Io(error) }
    }

    /// While doing what.
    pub(super) fn when(self, doing: impl Into<String>) -> NixError {
        NixError { doing: doing.into(), cause: self }
    }
}

/// Runs a program of nix to its end and gives what it printed, of which at most `max` bytes are read.
pub(super) async fn call(command: Command, max: u64) -> Result<String, NixCause> {
    let ended = process::run(command, max).await.map_err(NixCause::of_start)?;
    if ended.status.success() {
        return Ok(ended.stdout);
    }
    Err(refused(&ended))
}

/// What a program of nix says of its failure.
pub(super) fn refused(ended: &Ended) -> NixCause {
    let said = last_lines(&without_userinfo(&ended.stderr));
    NixCause::Refused(said.unwrap_or_else(|| format!("nix ended with {}", ended.status)))
}
