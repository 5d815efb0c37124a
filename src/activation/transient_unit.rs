//! Runs a command in a transient systemd unit, with `systemd-run`. The unit is independent of its caller's unit: it
//! keeps running if that one stops, and the restrictions of that one do not apply to it.

use crate::unattended;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::time::Duration;
use tokio::time::timeout;

/// How long `systemd-run` may take to report that the command was executed.
const START_TIMEOUT: Duration = Duration::from_mins(1);
/// Variables that nix, NixOS and their scripts read. None of them is secret, because any user can read those of a unit.
const PASSED_VARIABLES: [&str; 8] = [
    "PATH",
    "LOCALE_ARCHIVE",
    "NIXOS_INSTALL_BOOTLOADER",
    "NIX_REMOTE",
    "NIX_STORE_DIR",
    "NIX_STATE_DIR",
    "NIX_LOG_DIR",
    "HOME",
];

/// Why `systemd-run` failed. systemd may still start the unit later.
#[derive(Debug, thiserror::Error)]
pub enum TransientUnitError {
    /// `systemd-run` could not be executed.
    #[error("could not run systemd-run: {0}; is systemd's bin directory in the PATH of this service?")]
    NoSystemdRun(io::Error),
    /// `systemd-run` exited with an error.
    #[error("systemd-run: {0}")]
    Refused(String),
    /// systemd did not answer in time.
    #[error("systemd-run: no answer from systemd within {} s", START_TIMEOUT.as_secs())]
    NoAnswer,
}

/// A unit that is not started yet.
#[derive(Debug, Clone)]
pub struct TransientUnit {
    name: String,
    options: Vec<OsString>,
}

impl TransientUnit {
    /// Creates a service with this name, given without suffix. It is unloaded when it has ended, even if it failed.
    pub fn new(name: &str) -> Self {
        Self { name: format!("{name}.service"), options: Vec::new() }
    }

    /// Appends both outputs of the unit to a file, in their order. systemd does not start a unit whose output file it
    /// cannot open.
    #[must_use]
    pub fn output(self, file: &Path) -> Self {
        let mut append = OsString::from("append:");
        append.push(file);
        self.property("StandardOutput", &append).property("StandardError", &append)
    }

    /// Name of the unit, with suffix.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sets a property, as in a unit file.
    #[must_use]
    pub fn property(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        let mut option = OsString::from(format!("--property={name}="));
        option.push(value);
        self.options.push(option);
        self
    }

    /// Sets a command that systemd runs after the unit's processes have ended, successfully or not.
    #[must_use]
    pub fn stop_post(self, program: &Path, arguments: &[OsString]) -> Self {
        let command = [program.as_os_str()].into_iter().chain(arguments.iter().map(OsString::as_os_str));
        let command: Vec<_> = command.map(|word| quoted(&word.to_string_lossy())).collect();
        self.property("ExecStopPost", command.join(" "))
    }

    /// Starts a command in the unit, with `/` as its working directory, and waits until it was executed.
    pub async fn start(&self, program: &Path, arguments: &[OsString]) -> Result<(), TransientUnitError> {
        let mut command = unattended::command("systemd-run");
        command.arg(format!("--unit={}", self.name));
        command.args([
            "--collect",
            "--service-type=exec",
            "--no-ask-password",
            "--quiet",
            "--working-directory=/",
        ]);
        for name in PASSED_VARIABLES {
            if let Some(value) = std::env::var_os(name) {
                let mut option = OsString::from(format!("--setenv={name}="));
                option.push(value);
                command.arg(option);
            }
        }
        command.args(&self.options).arg("--").arg(program);
        // systemd expands variables in the arguments of a command.
        command.args(
            arguments
                .iter()
                .map(|word| word.to_str().map_or(word.clone(), |word| word.replace('$', "$$").into())),
        );
        command.kill_on_drop(true);
        let output =
            timeout(START_TIMEOUT, command.output()).await.map_err(|_| TransientUnitError::NoAnswer)?;
        let output = output.map_err(TransientUnitError::NoSystemdRun)?;
        if output.status.success() {
            return Ok(());
        }
        let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(TransientUnitError::Refused(if message.is_empty() { output.status.to_string() } else { message }))
    }
}

/// Quotes one word of a command line in a unit's property.
fn quoted(word: &str) -> String {
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%").replace('$', "$$"))
}
