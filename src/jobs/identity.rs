//! Who this listener is across restarts, and the order of its reports.

use crate::durable;
use jiff::{Timestamp, Unit};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Kept in the state directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Random; tells two hosts that claim one name apart.
    pub instance: String,
    /// How often the service has started, this time included.
    pub starts: u64,
}

impl Identity {
    /// Reads the identity and counts nothing; `None` where there is none.
    pub fn read(state_dir: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(state_dir.join("identity.json")).ok()?).ok()
    }

    /// Reads the identity, or makes one, and counts this start durably. A host that has one goes on with it where that
    /// cannot be written, for it is worth more in view than silent; then the reason comes too.
    pub(super) fn begin(path: &Path) -> Result<(Self, Option<durable::WriteError>), durable::WriteError> {
        let before: Option<Self> =
            std::fs::read(path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let known = before.is_some();
        let mut identity = before.unwrap_or_else(|| Self { instance: random(), starts: 0 });
        identity.starts += 1;
        let json = serde_json::to_vec(&identity).unwrap_or_default();
        match durable::write(path, &json) {
            Ok(()) => Ok((identity, None)),
            Err(error) if known => Ok((identity, Some(error))),
            Err(error) => Err(error),
        }
    }

    /// Makes the count of starts higher than this one, durably.
    pub(super) fn start_after(&mut self, starts: u64, path: &Path) -> Result<(), durable::WriteError> {
        if self.starts > starts {
            return Ok(());
        }
        self.starts = starts + 1;
        durable::write(path, &serde_json::to_vec(self).unwrap_or_default())
    }
}

fn random() -> String {
    format!("{:016x}", fastrand::u64(..))
}

/// Numbers the reports of one host: `starts × 1,000,000 + n`.
#[derive(Debug, Clone)]
pub struct Sequence(Arc<AtomicU64>);

impl Sequence {
    /// The sequence of this start.
    pub fn new(starts: u64) -> Self {
        Self(Arc::new(AtomicU64::new(starts * 1_000_000)))
    }

    /// The next number, higher than any before.
    pub fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// This host's clock, in milliseconds: finer than anybody reads it.
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    now.round(Unit::Millisecond).unwrap_or(now)
}
