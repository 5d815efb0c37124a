//! A hold: somebody keeps deployments from this host. It lies in the state directory until it is released.

use crate::durable::{self, WriteError};
use crate::protocol::printable;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

/// Why a host is held, by whom and since when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// In the words of whoever holds it.
    pub reason: String,
    /// Who that is, where the request said so.
    #[serde(default)]
    pub issuer: Option<String>,
    /// By this host's clock; unknown where the file is damaged.
    #[serde(default)]
    pub since: Option<Timestamp>,
}

impl Hold {
    /// The hold that lies in a state directory. One that cannot be read holds the host all the same: nobody can tell any
    /// more that it should not.
    pub fn read(state_dir: &Path) -> Option<Self> {
        let file = file(state_dir);
        let read = fs::read(&file);
        let why = match read.map(|bytes| serde_json::from_slice(&bytes)) {
            Ok(Ok(hold)) => return Some(hold),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Ok(Err(error)) => format!("is damaged: {error}"),
            Err(error) => format!("cannot be read: {error}"),
        };
        let reason = format!("{} {why}; nobody can tell who holds this host, and why", file.display());
        tracing::error!(reason, "the host is held, for its hold cannot be read");
        Some(Self { reason, issuer: None, since: None })
    }

    /// Writes it down durably.
    pub fn keep(&self, state_dir: &Path) -> Result<(), WriteError> {
        // Our own plain struct always has a JSON form.
        durable::write(&file(state_dir), &serde_json::to_vec(self).unwrap_or_default())
    }

    /// Ends durably whatever holds the host.
    pub fn end(state_dir: &Path) -> Result<(), WriteError> {
        durable::remove(&file(state_dir))
    }

    /// What follows the word held: ` since 2026-11-25T10:00Z by alice@laptop: kernel bisect`
    pub fn in_full(&self) -> String {
        let since = self.since.map(|since| format!(" since {}", minute(since))).unwrap_or_default();
        let by = self.issuer.as_ref().map(|issuer| format!(" by {issuer}")).unwrap_or_default();
        printable(&format!("{since}{by}: {}", self.reason))
    }
}

/// `kernel bisect (alice@laptop, since 2026-11-25T10:00Z)`
impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.since.map(|since| format!("since {}", minute(since)));
        let more: Vec<_> = self.issuer.clone().into_iter().chain(since).collect();
        let more = if more.is_empty() { String::new() } else { format!(" ({})", more.join(", ")) };
        write!(f, "{}", printable(&format!("{}{more}", self.reason)))
    }
}

fn file(state_dir: &Path) -> PathBuf {
    state_dir.join("hold.json")
}

fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%MZ").to_string()
}
