//! A command in a transient systemd unit, started by `systemd-run`: nothing that happens to its caller's unit reaches it, and
//! the restrictions of that unit do not apply to it.

use crate::unattended;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::time::Duration;
use tokio::time::timeout;

/// How long `systemd-run` may take to report that the command was executed.
const ANSWER: Duration = Duration::from_mins(1);
/// Variables that nix, NixOS and their scripts read. No secret is among them: any user may read those of a unit.
const PASSED: [&str; 8] = [
    "PATH",
    "LOCALE_ARCHIVE",
    "NIXOS_INSTALL_BOOTLOADER",
    "NIX_REMOTE",
    "NIX_STORE_DIR",
    "NIX_STATE_DIR",
    "NIX_LOG_DIR",
    "HOME",
];

/// Why a unit was not started, as far as `systemd-run` knows: systemd may still start it later.
#[derive(Debug, thiserror::Error)]
pub enum TransientUnitError {
    /// `systemd-run` could not be executed.
    #[error("could not run systemd-run: {0}; is systemd's bin directory in the PATH of this service?")]
    NoSystemdRun(io::Error),
    /// It ended with an error.
    #[error("systemd-run: {0}")]
    Refused(String),
    /// systemd did not answer it.
    #[error("systemd-run: no answer from systemd within {} s", ANSWER.as_secs())]
    NoAnswer,
}

/// A unit to be.
#[derive(Debug, Clone)]
pub struct TransientUnit {
    name: String,
    options: Vec<OsString>,
}

impl TransientUnit {
    /// A service of this name, without suffix. It is unloaded once it has ended, also if it failed.
    pub fn new(name: &str) -> Self {
        Self { name: format!("{name}.service"), options: Vec::new() }
    }

    /// Appends both outputs of its processes to a file, in their order. systemd does not start a unit whose file it cannot
    /// open.
    #[must_use]
    pub fn output(self, file: &Path) -> Self {
        let mut append = OsString::from("append:");
        append.push(file);
        self.property("StandardOutput", &append).property("StandardError", &append)
    }

    /// Its name, with suffix.
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

    /// A command that systemd runs once the unit's processes have ended, however they did.
    #[must_use]
    pub fn stop_post(self, program: &Path, arguments: &[OsString]) -> Self {
        let words = [program.as_os_str()].into_iter().chain(arguments.iter().map(OsString::as_os_str));
        let words: Vec<_> = words.map(|word| quoted(&word.to_string_lossy())).collect();
        self.property("ExecStopPost", words.join(" "))
    }

    /// Starts a command in it, with `/` as its working directory, and waits until it was executed.
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
        for name in PASSED {
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
        let output = timeout(ANSWER, command.output()).await.map_err(|_| TransientUnitError::NoAnswer)?;
        let output = output.map_err(TransientUnitError::NoSystemdRun)?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(TransientUnitError::Refused(if said.is_empty() { output.status.to_string() } else { said }))
    }
}

/// One word of a command line in a unit's property.
fn quoted(word: &str) -> String {
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%").replace('$', "$$"))
}
