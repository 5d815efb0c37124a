//! Detects that this listener's unit was removed from the host. systemd does not stop the unit, because the deployment
//! that removes it must still be reported; so the listener stops itself afterwards.

use crate::activation::own_unit;
use crate::unattended;
use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout};

/// Interval between checks if presence is disabled; otherwise the presence interval is used.
const INTERVAL: Duration = Duration::from_mins(1);
/// How long `systemctl` may take.
const SYSTEMCTL_TIMEOUT: Duration = Duration::from_secs(30);

/// The unit that this process runs in, and the file that systemd loaded it from.
#[derive(Debug)]
pub(super) struct RemovalWatch {
    /// `None` outside of a service.
    pub(super) unit: Option<String>,
    /// Known once systemd has reported it.
    file: Option<PathBuf>,
    next: Instant,
    interval: Duration,
}

impl RemovalWatch {
    /// Watches the unit of this process. The first check is due at once.
    pub(super) fn new(interval: Duration) -> Self {
        let interval = if interval.is_zero() { INTERVAL } else { interval };
        Self { unit: own_unit(), file: None, next: Instant::now(), interval }
    }

    /// Makes the next check due.
    pub(super) fn check_soon(&mut self) {
        self.next = Instant::now();
    }

    /// Waits until the unit is removed; forever if it stays. Cancel safe.
    pub(super) async fn removed(&mut self) {
        loop {
            sleep_until(self.next).await;
            if self.is_removed().await {
                return;
            }
            self.next = Instant::now() + self.interval;
        }
    }

    /// Whether the file is removed or masked and systemd has no other one for the unit. While the file exists, the check
    /// reads only the file system.
    async fn is_removed(&mut self) -> bool {
        let Some(unit) = &self.unit else { return false };
        if let Some(file) = &self.file
            && is_present(file).await
        {
            return false;
        }
        let Some(shown) = show_unit(unit).await else { return false };
        let shown = |name: &str| shown.get(name).map_or("", String::as_str);
        match shown("LoadState") {
            // A unit with this name may run another process, so its file says nothing about this one.
            "loaded" if shown("MainPID") == std::process::id().to_string() => {
                self.file = Some(shown("FragmentPath")).filter(|path| !path.is_empty()).map(PathBuf::from);
                false
            }
            // It counts only if the unit was loaded before.
            "not-found" | "masked" => self.file.is_some(),
            _ => false,
        }
    }
}

/// Whether the unit file exists. A link to `/dev/null` masks the unit. An inaccessible file counts as present.
async fn is_present(file: &Path) -> bool {
    match tokio::fs::canonicalize(file).await {
        Ok(path) => path != Path::new("/dev/null"),
        Err(error) => error.kind() != ErrorKind::NotFound,
    }
}

/// The properties of a unit; `None` if systemd does not respond.
async fn show_unit(unit: &str) -> Option<HashMap<String, String>> {
    let mut command = unattended::command("systemctl");
    command.args(["show", "--property=LoadState,FragmentPath,MainPID", unit]);
    command.env("LC_ALL", "C").stderr(Stdio::null()).kill_on_drop(true);
    let output = timeout(SYSTEMCTL_TIMEOUT, command.output()).await.ok()?.ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    Some(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}
