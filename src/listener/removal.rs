//! Notices that the unit of this listener was removed from the host. The unit is not stopped on removal, because the deployment
//! that removes it still has to be reported; so the listener stops itself afterwards.

use crate::activation::own_unit;
use crate::unattended;
use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout};

/// How often it is looked for if the listener announces no presence, which otherwise sets the pace.
const INTERVAL: Duration = Duration::from_mins(1);
/// How long systemd may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// The unit that this process runs in, and the file that systemd loaded it from.
#[derive(Debug)]
pub(super) struct Removal {
    /// Nothing outside of a service.
    pub(super) unit: Option<String>,
    /// Known once systemd has named it.
    file: Option<PathBuf>,
    next: Instant,
    interval: Duration,
}

impl Removal {
    /// The unit of this process, looked for now and at this interval from now on.
    pub(super) fn watch(interval: Duration) -> Self {
        let interval = if interval.is_zero() { INTERVAL } else { interval };
        Self { unit: own_unit(), file: None, next: Instant::now(), interval }
    }

    /// Makes the next look due.
    pub(super) fn look_soon(&mut self) {
        self.next = Instant::now();
    }

    /// Waits until the unit is gone; for ever if it stays. Whoever stops waiting loses nothing.
    pub(super) async fn removed(&mut self) {
        loop {
            sleep_until(self.next).await;
            if self.is_removed().await {
                return;
            }
            self.next = Instant::now() + self.interval;
        }
    }

    /// Whether the file is gone, or masked, and systemd has no other one for the unit. As long as the file is there, that costs one
    /// look at the file system.
    async fn is_removed(&mut self) -> bool {
        let Some(unit) = &self.unit else { return false };
        if let Some(file) = &self.file
            && is_there(file).await
        {
            return false;
        }
        let Some(shown) = show(unit).await else { return false };
        let shown = |name: &str| shown.get(name).map_or("", String::as_str);
        match shown("LoadState") {
            // A unit of that name under another service manager is not this one.
            "loaded" if shown("MainPID") == std::process::id().to_string() => {
                self.file = Some(shown("FragmentPath")).filter(|path| !path.is_empty()).map(PathBuf::from);
                false
            }
            // Only of a unit that was seen before.
            "not-found" | "masked" => self.file.is_some(),
            _ => false,
        }
    }
}

/// A unit file that leads to `/dev/null` is masked. One that cannot be looked at counts as there.
async fn is_there(file: &Path) -> bool {
    match tokio::fs::canonicalize(file).await {
        Ok(path) => path != Path::new("/dev/null"),
        Err(error) => error.kind() != ErrorKind::NotFound,
    }
}

/// What systemd has of a unit, or nothing if it does not answer.
async fn show(unit: &str) -> Option<HashMap<String, String>> {
    let mut command = unattended::command("systemctl");
    command.args(["show", "--property=LoadState,FragmentPath,MainPID", unit]);
    command.env("LC_ALL", "C").stderr(Stdio::null()).kill_on_drop(true);
    let output = timeout(PATIENCE, command.output()).await.ok()?.ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    Some(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}
