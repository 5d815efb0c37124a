//! The units of the host, as its service manager tells. Where none runs there are none.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Output, Stdio};
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

    /// Whether one runs the host.
    pub fn is_there(self) -> bool {
        self.systemd
    }

    /// The units that have failed; nothing where that cannot be had in time.
    pub async fn failed(self) -> Option<BTreeSet<String>> {
        if !self.systemd {
            return Some(BTreeSet::new());
        }
        let mut command = Command::new("systemctl");
        command.args([
            "list-units",
            "--all",
            "--plain",
            "--no-legend",
            "--no-pager",
            "--full",
            "--state=failed",
        ]);
        let text = answer(&mut command).await?;
        Some(text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
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

/// The unit that this process runs in, where systemd runs it as a service.
pub fn own_unit() -> Option<String> {
    // Set for services only.
    std::env::var_os("INVOCATION_ID")?;
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let unit = groups.lines().find_map(|line| line.rsplit('/').find(|part| part.ends_with(".service")))?;
    Some(unit.to_owned())
}

/// What a command prints, whatever it ends with; nothing where it cannot be had in time. Whoever asks goes on without.
async fn output(command: &mut Command) -> String {
    ended(command).await.map(|output| text(&output)).unwrap_or_default()
}

/// What a command prints that succeeds.
async fn answer(command: &mut Command) -> Option<String> {
    ended(command).await.filter(|output| output.status.success()).map(|output| text(&output))
}

async fn ended(command: &mut Command) -> Option<Output> {
    command.env("LC_ALL", "C").stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    timeout(PATIENCE, command.output()).await.ok()?.ok()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}
