//! The units of the host, as its service manager tells. Where none runs there are none.

use crate::unattended;
use rustix::process::Signal;
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

/// A service, as far as it tells whether it crashes again and again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceState {
    /// How often systemd has restarted it since somebody started it.
    pub restarts: u64,
    /// Whether it has crashed and waits for its next start.
    pub crashed: bool,
    /// How long systemd waits before it starts it again.
    pub restart_delay: Duration,
}

impl ServiceState {
    /// Reads what `systemctl show` prints about one service, and gives its name as well.
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

/// Reads a time span as systemd prints it: `1min 30s`, `100ms`.
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
        let text = answer(&mut command).await?;
        Some(text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
    }

    /// Every service that systemd has loaded.
    pub async fn services(self) -> BTreeMap<String, ServiceState> {
        let properties = "--property=Id,NRestarts,ActiveState,SubState,Result,ExecMainStatus,RestartUSec";
        let text = self.ask(&["show", properties, "*.service"]).await;
        text.split("\n\n").filter_map(ServiceState::parse).collect()
    }

    /// The jobs that systemd works on, as `podman-db.service (start)`.
    pub async fn running_jobs(self) -> Vec<String> {
        let text = self.ask(&["list-jobs", "--no-legend", "--no-pager", "--full"]).await;
        let job = |line: &str| match line.split_whitespace().collect::<Vec<_>>()[..] {
            [_, unit, kind, "running"] => Some(format!("{unit} ({kind})")),
            _ => None,
        };
        text.lines().filter_map(job).collect()
    }

    /// Those of `units` that are not active.
    pub async fn inactive(self, units: &BTreeSet<String>) -> BTreeSet<String> {
        let mut inactive = BTreeSet::new();
        for unit in units {
            if self.ask(&["show", "--property=ActiveState", "--value", "--", unit]).await.trim() == "inactive"
            {
                inactive.insert(unit.clone());
            }
        }
        inactive
    }

    /// Asks for units to be started or restarted and does not wait for it.
    pub async fn begin(self, verb: &str, units: &[String]) {
        let mut arguments = vec![verb, "--no-block", "--"];
        arguments.extend(units.iter().map(String::as_str));
        self.ask(&arguments).await;
    }

    /// Kills everything that runs in a unit.
    pub async fn kill(self, unit: &str) {
        self.ask(&["kill", "--kill-whom=all", "--signal=KILL", "--", unit]).await;
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

    /// Restarts a unit and does not wait for it.
    pub async fn restart(self, unit: &str) {
        self.ask(&["restart", "--no-block", unit]).await;
    }

    /// Restarts a unit that may have failed, without waiting for it.
    pub async fn restart_at_once(self, unit: &str) {
        self.ask(&["reset-failed", unit]).await;
        self.restart(unit).await;
    }

    /// Sends a signal to every process of a unit.
    pub async fn signal(self, unit: &str, signal: Signal) {
        // By number, which every version takes.
        self.ask(&["kill", &format!("--signal={}", signal.as_raw()), "--", unit]).await;
    }

    /// Asks the host to reboot.
    pub async fn reboot(self) {
        self.ask(&["--no-block", "reboot"]).await;
    }

    /// Reboots without stopping services, or without even systemd's help.
    pub async fn reboot_by_force(self, without_systemd: bool) {
        let force: &[&str] = if without_systemd { &["--force", "--force"] } else { &["--force"] };
        self.ask(&[force, &["reboot"]].concat()).await;
    }

    async fn ask(self, arguments: &[&str]) -> String {
        if !self.systemd {
            return String::new();
        }
        output(unattended::command("systemctl").args(arguments)).await
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
    command.env("LC_ALL", "C").stderr(Stdio::null()).kill_on_drop(true);
    timeout(PATIENCE, command.output()).await.ok()?.ok()
}

fn text(output: &Output) -> String {
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
        // One that ends well and is started again each time.
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
    fn time_spans_are_read_as_systemd_prints_them() {
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
