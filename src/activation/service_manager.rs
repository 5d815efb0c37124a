//! The units of the host, as its service manager tells. Where none runs there are none.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::timeout;

/// How long the service manager may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// The service manager of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceManager {
    systemd: bool,
}

impl ServiceManager {
    /// The units of a host that systemd runs, or of one without.
    pub fn new(systemd: bool) -> Self {
        Self { systemd }
    }

    /// The units that have failed.
    pub async fn failed(self) -> BTreeSet<String> {
        let list =
            ["list-units", "--all", "--plain", "--no-legend", "--no-pager", "--full", "--state=failed"];
        let text = self.ask(&list).await;
        text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
    }

    /// How often each service was started again after a failure.
    pub async fn restarts(self) -> BTreeMap<String, u64> {
        let text = self.ask(&["show", "--property=Id,NRestarts", "*.service"]).await;
        let mut restarts = BTreeMap::new();
        for block in text.split("\n\n") {
            let value =
                |name: &str| block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            if let (Some(unit), Some(Ok(count))) = (value("Id"), value("NRestarts").map(str::parse)) {
                restarts.insert(unit.to_owned(), count);
            }
        }
        restarts
    }

    /// Whether systemd calls the host degraded.
    pub async fn is_degraded(self) -> bool {
        self.ask(&["is-system-running"]).await.trim() == "degraded"
    }

    /// Whether the host shuts down.
    pub async fn is_stopping(self) -> bool {
        self.ask(&["is-system-running"]).await.trim() == "stopping"
    }

    /// The last lines of a unit's journal.
    pub async fn journal(self, unit: &str, lines: usize) -> String {
        if !self.systemd {
            return String::new();
        }
        let count = lines.to_string();
        output(Command::new("journalctl").args([
            "--unit",
            unit,
            "--lines",
            &count,
            "--no-pager",
            "--output=short",
            "--quiet",
        ]))
        .await
    }

    /// Restarts a unit and does not wait for it.
    pub async fn restart(self, unit: &str) {
        self.ask(&["restart", "--no-block", unit]).await;
    }

    /// Restarts a unit that may have failed, without waiting for it.
    pub async fn restart_at_once(self, unit: &str) {
        self.ask(&["reset-failed", unit]).await;
        self.restart(unit).await;
    }

    /// Starts a unit that does not run, and forgets that it failed.
    pub async fn ensure_started(self, unit: &str) {
        self.ask(&["reset-failed", unit]).await;
        self.ask(&["start", "--no-block", unit]).await;
    }

    /// Whether there is such a unit.
    pub async fn has(self, unit: &str) -> bool {
        self.ask(&["show", "--property=LoadState", "--value", unit]).await.trim() == "loaded"
    }

    /// Asks the host to reboot.
    pub async fn reboot(self) {
        self.ask(&["--no-block", "reboot"]).await;
    }

    async fn ask(self, arguments: &[&str]) -> String {
        if !self.systemd {
            return String::new();
        }
        output(Command::new("systemctl").args(arguments)).await
    }
}

/// What a command prints; nothing where it cannot be had in time. Whoever asks goes on without.
async fn output(command: &mut Command) -> String {
    command.env("LC_ALL", "C").stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    match timeout(PATIENCE, command.output()).await {
        Ok(Ok(output)) => String::from_utf8_lossy(&output.stdout).into_owned(),
        _ => String::new(),
    }
}
