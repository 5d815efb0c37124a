//! Why a call of docker or Docker Compose failed.

use std::io;
use std::time::Duration;

/// Why a call of docker or Docker Compose failed. Messages may contain values of `.env` files: redact them.
#[derive(Debug, thiserror::Error)]
pub enum DockerError {
    /// The program is not on the `PATH`.
    #[error("{0} is not installed here; put it on the service's PATH")]
    Missing(String),
    /// The daemon does not respond.
    #[error("docker does not respond: {0}; check `systemctl status docker`")]
    NotResponding(String),
    /// The command failed. Holds what was called and its last lines.
    #[error("{0} failed: {1}")]
    Failed(String, String),
    /// The command did not end in time.
    #[error("{what} did not finish within {} s", limit.as_secs())]
    TimedOut {
        /// What was called.
        what: String,
        /// The time limit.
        limit: Duration,
    },
    /// The output was not as expected.
    #[error("could not read the output of {0}: {1}")]
    Unreadable(String, String),
    /// Compose is missing, or older than version 2.
    #[error(
        "{0}; expected Docker Compose 2 or newer: install the package docker-compose-plugin or docker-compose-v2"
    )]
    NoCompose(String),
    /// The program could not be run.
    #[error("could not run {0}: {1}")]
    Io(String, io::Error),
}

/// What docker and Compose print if the daemon is away.
const DAEMON_AWAY: [&str; 3] = ["Cannot connect to the Docker daemon", "error during connect", "dial unix"];

/// What Compose prints if the daemon goes away while it is used. For a download, the same could be due to the registry.
const DAEMON_LOST: [&str; 3] = ["EOF", "connection reset by peer", "broken pipe"];

impl DockerError {
    /// The error of a command that has failed with these messages.
    pub(super) fn of_output(what: &str, stderr: &str) -> Self {
        let message = last_lines(stderr);
        if is_daemon_away(stderr) {
            return Self::NotResponding(message);
        }
        Self::Failed(what.to_owned(), message)
    }

    /// Whether a disk is full.
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::Failed(_, message) if message.contains("no space left on device"))
    }

    /// Whether the daemon did not respond, so that the call may succeed later.
    pub fn is_daemon_away(&self) -> bool {
        matches!(self, Self::NotResponding(_))
    }
}

/// Whether the messages of a command show that the daemon is away.
pub(super) fn is_daemon_away(output: &str) -> bool {
    DAEMON_AWAY.iter().any(|sign| output.contains(sign))
}

/// Whether the output of a command that downloads nothing shows that the daemon is away or went away.
pub(super) fn is_daemon_lost(output: &str) -> bool {
    is_daemon_away(output) || DAEMON_LOST.iter().any(|sign| output.contains(sign))
}

/// The last three lines with text, joined.
pub(super) fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    match lines.as_slice() {
        [] => "no message".to_owned(),
        lines => crate::text::printable(&crate::text::last(lines, 3).join(" / ")),
    }
}
