//! A hold: an operator blocks deployments to this host. It is stored in the state directory until it is released.

use crate::atomic_file::{self, WriteError};
use crate::text::printable;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::{fmt, io};

/// Why a host is held, by whom and since when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The reason that the issuer gave.
    pub reason: String,
    /// The issuer, if the request named one.
    #[serde(default)]
    pub issuer: Option<String>,
    /// By this host's clock; `None` if the file is damaged.
    #[serde(default)]
    pub since: Option<Timestamp>,
}

impl Hold {
    /// Reads the hold in a state directory. An unreadable file counts as a hold, because releasing the host by accident
    /// is worse than holding it.
    pub fn read(state_dir: &Path) -> Option<Self> {
        let file = hold_file(state_dir);
        let read = atomic_file::read(&file);
        let why = match read.map(|bytes| serde_json::from_slice(&bytes)) {
            Ok(Ok(hold)) => return Some(hold),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Ok(Err(error)) => format!("is damaged: {error}"),
            Err(error) => format!("cannot be read: {error}"),
        };
        let reason = format!("{} {why}; the reason and issuer of the hold are unknown", file.display());
        tracing::error!(reason, "failed to read the hold: the host stays held");
        Some(Self { reason, issuer: None, since: None })
    }

    /// Writes the hold durably.
    pub fn save(&self, state_dir: &Path) -> Result<(), WriteError> {
        // Our own plain struct always has a JSON form.
        atomic_file::write(&hold_file(state_dir), &serde_json::to_vec(self).unwrap_or_default())
    }

    /// Removes the hold durably, readable or not.
    pub fn remove(state_dir: &Path) -> Result<(), WriteError> {
        atomic_file::remove(&hold_file(state_dir))
    }

    /// The text after "held": ` since 2026-11-25T10:00Z by alice@laptop: kernel bisect`
    pub fn details(&self) -> String {
        let since = self.since.map(|since| format!(" since {}", format_minute(since))).unwrap_or_default();
        let by = self.issuer.as_ref().map(|issuer| format!(" by {issuer}")).unwrap_or_default();
        printable(&format!("{since}{by}: {}", self.reason))
    }
}

/// `kernel bisect (alice@laptop, since 2026-11-25T10:00Z)`
impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.since.map(|since| format!("since {}", format_minute(since)));
        let more: Vec<_> = self.issuer.clone().into_iter().chain(since).collect();
        let more = if more.is_empty() { String::new() } else { format!(" ({})", more.join(", ")) };
        write!(f, "{}", printable(&format!("{}{more}", self.reason)))
    }
}

fn hold_file(state_dir: &Path) -> PathBuf {
    state_dir.join("hold.json")
}

fn format_minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%MZ").to_string()
}
