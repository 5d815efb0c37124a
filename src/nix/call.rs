//! How nix is called on this host, and what is said when a call fails.

use super::process;
use super::remote::last_lines;
use super::secrets::without_userinfo;
use std::ffi::OsString;
use std::{fmt, io};
use tokio::process::Command;

/// What the `nix` command needs on hosts that have not switched it on.
const FEATURES: [&str; 2] = ["--extra-experimental-features", "nix-command flakes"];

/// nix as this host has it: found on the `PATH`, set up by its own configuration and this environment.
#[derive(Clone, Default)]
pub struct Nix {
    environment: Vec<(OsString, OsString)>,
    /// Whether what no cache holds must not be built.
    pub(super) only_fetches: bool,
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

    /// Lets nix fetch what caches hold and build nothing, neither here nor on other machines.
    #[must_use]
    pub fn only_fetching(mut self, only: bool) -> Self {
        self.only_fetches = only;
        self
    }

    /// `nix` with its newer commands switched on.
    pub(super) fn nix(&self) -> Command {
        let mut command = self.program("nix");
        command.args(FEATURES);
        command
    }

    /// One of nix's older programs.
    pub(super) fn program(&self, name: &str) -> Command {
        let mut command = process::command(name);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
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
    let said = last_lines(&without_userinfo(&ended.stderr));
    Err(NixCause::Refused(said.unwrap_or_else(|| format!("nix ended with {}", ended.status))))
}
