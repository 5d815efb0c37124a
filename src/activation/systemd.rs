//! Queries and controls systemd. On a host without systemd, queries return nothing.

use crate::ordered::CollectOrdered;
use crate::unattended;
use rustix::process::Signal;
use std::collections::{BTreeMap, BTreeSet};
use std::process::{Output, Stdio};
use std::time::Duration;
use tokio::process::Command;
use tokio::time::timeout;

/// How long `systemctl` may take to answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The systemd of the host, if it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Systemd {
    is_available: bool,
}

/// The restart state of a service, which shows whether it crashes repeatedly.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceState {
    /// How many times systemd has restarted the service since its last manual start.
    pub restarts: u64,
    /// Whether the service has crashed and waits for its next start.
    pub crashed: bool,
    /// How long systemd waits before it restarts the service.
    pub restart_delay: Duration,
}

impl ServiceState {
    /// Parses the output of `systemctl show` for one service; returns its name and state.
    fn parse(block: &str) -> Option<(String, Self)> {
        let value = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        let crashed = value("SubState")?.starts_with("auto-restart")
            && (value("Result") != Some("success") || value("ExecMainStatus") != Some("0"));
        let state = Self {
            restarts: value("NRestarts")?.parse().ok()?,
            crashed,
            restart_delay: value("RestartUSec").and_then(timespan).unwrap_or_default(),
        };
        Some((value("Id")?.to_owned(), state))
    }
}

/// Parses a time span in systemd's format: `1min 30s`, `100ms`.
fn timespan(text: &str) -> Option<Duration> {
    let part = |part: &str| {
        let unit = part.find(|c: char| c.is_ascii_alphabetic())?;
        let number: f64 = part[..unit].parse().ok()?;
        let seconds = match &part[unit..] {
            "us" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "min" => 60.0,
            "h" => 3600.0,
            "d" => 86400.0,
            _ => return None,
        };
        Duration::try_from_secs_f64(number * seconds).ok()
    };
    text.split_whitespace().map(part).sum()
}

impl Systemd {
    /// Creates a handle; `is_available` is whether systemd runs the host.
    pub fn new(is_available: bool) -> Self {
        Self { is_available }
    }

    /// Whether systemd runs the host.
    pub fn is_available(self) -> bool {
        self.is_available
    }

    /// Returns the failed units; `None` if systemd does not answer in time.
    pub async fn failed_units(self) -> Option<BTreeSet<String>> {
        if !self.is_available {
            return Some(BTreeSet::new());
        }
        let mut command = unattended::command("systemctl");
        command.args([
            "list-units",
            "--all",
            "--plain",
            "--no-legend",
            "--no-pager",
            "--full",
            "--state=failed",
        ]);
        let text = output_if_successful(&mut command).await?;
        Some(text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect_set())
    }

    /// Returns the state of every loaded service.
    pub async fn services(self) -> BTreeMap<String, ServiceState> {
        let properties = "--property=Id,NRestarts,ActiveState,SubState,Result,ExecMainStatus,RestartUSec";
        let text = self.systemctl(&["show", properties, "*.service"]).await;
        text.split("\n\n").filter_map(ServiceState::parse).collect_map()
    }

    /// Returns the running jobs of systemd, such as `podman-db.service (start)`.
    pub async fn running_jobs(self) -> Vec<String> {
        let text = self.systemctl(&["list-jobs", "--no-legend", "--no-pager", "--full"]).await;
        let job = |line: &str| match line.split_whitespace().collect::<Vec<_>>()[..] {
            [_, unit, kind, "running"] => Some(format!("{unit} ({kind})")),
            _ => None,
        };
        text.lines().filter_map(job).collect()
    }

    /// Returns those of `units` that are inactive.
    pub async fn inactive_units(self, units: &BTreeSet<String>) -> BTreeSet<String> {
        let mut inactive = BTreeSet::new();
        for unit in units {
            if self.systemctl(&["show", "--property=ActiveState", "--value", "--", unit]).await.trim()
                == "inactive"
            {
                inactive.insert(unit.clone());
            }
        }
        inactive
    }

    /// Starts or restarts units without waiting for them.
    pub async fn enqueue(self, verb: &str, units: &[String]) {
        let mut arguments = vec![verb, "--no-block", "--"];
        arguments.extend(units.iter().map(String::as_str));
        self.systemctl(&arguments).await;
    }

    /// Kills all processes of a unit.
    pub async fn kill(self, unit: &str) {
        self.systemctl(&["kill", "--kill-whom=all", "--signal=KILL", "--", unit]).await;
    }

    /// Whether systemd reports the host as degraded.
    pub async fn is_degraded(self) -> bool {
        self.systemctl(&["is-system-running"]).await.trim() == "degraded"
    }

    /// Whether the host is shutting down.
    pub async fn is_stopping(self) -> bool {
        self.systemctl(&["is-system-running"]).await.trim() == "stopping"
    }

    /// Returns the last lines of a unit's journal.
    pub async fn journal(self, unit: &str, lines: usize) -> String {
        if !self.is_available {
            return String::new();
        }
        let count = lines.to_string();
        output(unattended::command("journalctl").args([
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

    /// Restarts a unit without waiting for it.
    pub async fn restart(self, unit: &str) {
        self.systemctl(&["restart", "--no-block", unit]).await;
    }

    /// Restarts a unit that may have failed, without waiting for it.
    pub async fn reset_and_restart(self, unit: &str) {
        self.systemctl(&["reset-failed", unit]).await;
        self.restart(unit).await;
    }

    /// Sends a signal to every process of a unit.
    pub async fn signal(self, unit: &str, signal: Signal) {
        // A signal number is accepted by every version.
        self.systemctl(&["kill", &format!("--signal={}", signal.as_raw()), "--", unit]).await;
    }

    /// Starts a regular reboot of the host.
    pub async fn reboot(self) {
        self.systemctl(&["--no-block", "reboot"]).await;
    }

    /// Reboots without stopping services, or even without systemd.
    pub async fn force_reboot(self, without_systemd: bool) {
        let force: &[&str] = if without_systemd { &["--force", "--force"] } else { &["--force"] };
        self.systemctl(&[force, &["reboot"]].concat()).await;
    }

    async fn systemctl(self, arguments: &[&str]) -> String {
        if !self.is_available {
            return String::new();
        }
        output(unattended::command("systemctl").args(arguments)).await
    }
}

/// Returns the unit that this process runs in; `None` if it is not a service of systemd.
pub fn own_unit() -> Option<String> {
    // systemd sets this variable for services only.
    std::env::var_os("INVOCATION_ID")?;
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let unit = groups.lines().find_map(|line| line.rsplit('/').find(|part| part.ends_with(".service")))?;
    Some(unit.to_owned())
}

/// Returns the output of a command regardless of its exit status; empty if it cannot be run in time.
async fn output(command: &mut Command) -> String {
    run(command).await.map(|output| stdout(&output)).unwrap_or_default()
}

/// Returns the output of a command that succeeds.
async fn output_if_successful(command: &mut Command) -> Option<String> {
    run(command).await.filter(|output| output.status.success()).map(|output| stdout(&output))
}

async fn run(command: &mut Command) -> Option<Output> {
    command.env("LC_ALL", "C").stderr(Stdio::null()).kill_on_drop(true);
    timeout(TIMEOUT, command.output()).await.ok()?.ok()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn service_in_a_crash_loop_waits_for_its_next_start_after_a_failure() {
        let block = |sub, result, status| {
            format!(
                "Id=web.service\nNRestarts=3\nActiveState=activating\nSubState={sub}\nResult={result}\nExecMainStatus={status}\n\
                 RestartUSec=1min 30s"
            )
        };
        let crashed =
            |sub, result, status| ServiceState::parse(&block(sub, result, status)).unwrap().1.crashed;
        assert!(crashed("auto-restart", "exit-code", "7"));
        assert!(crashed("auto-restart-queued", "success", "7"));
        // A service that exits successfully and is restarted each time has not crashed.
        assert!(!crashed("auto-restart", "success", "0"));
        assert!(!crashed("running", "exit-code", "7"));
        let (name, state) = ServiceState::parse(&block("running", "success", "0")).unwrap();
        assert_eq!(
            (name.as_str(), state.restarts, state.restart_delay),
            ("web.service", 3, Duration::from_secs(90))
        );
        assert_eq!(ServiceState::parse(""), None);
    }

    #[test]
    fn time_spans_of_systemd_are_parsed() {
        for (text, expected) in [
            ("100ms", Some(100)),
            ("10s", Some(10_000)),
            ("1min 30s", Some(90_000)),
            ("0", None),
            ("infinity", None),
        ] {
            assert_eq!(timespan(text), expected.map(Duration::from_millis), "{text}");
        }
    }
}
