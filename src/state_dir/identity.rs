//! The identity of a service across restarts, and the sequence numbers of its reports.

use crate::atomic_file::{self, WriteError};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// File with the identity.
const IDENTITY: &str = "identity.json";
/// The distance between the first numbers of two starts.
const REPORTS_PER_START: u64 = 1_000_000;
/// A higher count of starts is damage: the numbers of its reports would overflow.
const MAX_STARTS: u64 = u64::MAX / REPORTS_PER_START / 2;

/// The identity, stored in the state directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceIdentity {
    /// Random; distinguishes two hosts with the same name.
    pub instance: String,
    /// Number of service starts, including this one.
    pub starts: u64,
    /// Seconds since the last start that was counted, if this one could not be: the next start has the same number.
    #[serde(skip)]
    uncounted_for: Option<u64>,
}

impl ServiceIdentity {
    /// Reads the identity without counting a start; `None` if there is none.
    pub fn read(state_dir: &Path) -> Option<Self> {
        Self::parse(&atomic_file::read(&state_dir.join(IDENTITY)).ok()?).ok()
    }

    /// Writes the identity of a service with this instance that has started once.
    pub fn create(state_dir: &Path, instance: String) -> Result<(), WriteError> {
        Self { instance, starts: 1, uncounted_for: None }.save(state_dir)
    }

    /// Reads or creates the identity, and counts this start durably. A damaged identity is quarantined and replaced. If
    /// there was one that cannot be written, the service starts anyway so that the host stays visible. The warnings say
    /// so; `consequence` is the end of a warning that nothing can be written.
    pub(super) fn start(state_dir: &Path, consequence: &str) -> Result<(Self, Vec<String>), WriteError> {
        let path = state_dir.join(IDENTITY);
        let new = || Self { instance: format!("{:016x}", fastrand::u64(..)), starts: 0, uncounted_for: None };
        let (mut identity, damage) = match atomic_file::read(&path) {
            Ok(bytes) => match Self::parse(&bytes) {
                Ok(identity) => (identity, None),
                Err(error) => (new(), Some(error.to_string())),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let first = Self { starts: 1, ..new() };
                first.save(state_dir)?;
                return Ok((first, Vec::new()));
            }
            Err(error) => (new(), Some(error.to_string())),
        };
        identity.starts += 1;
        let quarantined = damage.as_ref().map(|_| atomic_file::quarantine(&path));
        let counted_at = std::fs::metadata(&path).and_then(|file| file.modified());
        let saved = identity.save(state_dir);
        if saved.is_err() {
            let since_counted = counted_at.ok().and_then(|at| at.elapsed().ok()).unwrap_or_default();
            identity.uncounted_for = Some(since_counted.as_secs());
        }
        let mut warnings = Vec::new();
        if let Some((damage, quarantined)) = damage.zip(quarantined) {
            let moved = match (&saved, quarantined) {
                (Ok(()), Ok(to)) => format!(" and was replaced; moved to {}", to.display()),
                (_, Err(error)) => format!("; it could not be quarantined: {error}"),
                // The next start must see that this is not the first one.
                (Err(_), Ok(to)) => {
                    std::fs::rename(to, &path).map_or_else(|error| format!(": {error}"), |()| String::new())
                }
            };
            let path = path.display();
            warnings.push(format!(
                "the identity {path} is damaged ({damage}){moved}; operators see a new instance of this service"
            ));
        }
        warnings.extend(saved.err().map(|error| format!("{error}{consequence}")));
        Ok((identity, warnings))
    }

    fn parse(bytes: &[u8]) -> serde_json::Result<Self> {
        let identity: Self = serde_json::from_slice(bytes)?;
        if identity.starts >= MAX_STARTS {
            return Err(serde::de::Error::custom(format_args!("`starts` is {}", identity.starts)));
        }
        Ok(identity)
    }

    /// Raises the count of starts above `starts`, durably.
    pub(super) fn start_after(&mut self, starts: u64, state_dir: &Path) -> Result<(), WriteError> {
        if self.starts > starts {
            return Ok(());
        }
        self.starts = starts.saturating_add(1).min(MAX_STARTS - 1);
        self.save(state_dir)
    }

    /// Writes the identity durably.
    fn save(&self, state_dir: &Path) -> Result<(), WriteError> {
        // Our own plain struct always has a JSON form.
        atomic_file::write(&state_dir.join(IDENTITY), &serde_json::to_vec(self).unwrap_or_default())
    }
}

/// Numbers the reports of one host: `starts × 1,000,000 + n`.
#[derive(Debug, Clone)]
pub struct Sequence(Arc<AtomicU64>);

impl Sequence {
    /// The sequence for this start of the service.
    pub fn new(identity: &ServiceIdentity) -> Self {
        let first = identity.starts * REPORTS_PER_START;
        // Between the numbers of the last start that was counted and those of the next one, and increasing with time: a
        // service sends less than one report in a second.
        let uncounted = |seconds: u64| first - REPORTS_PER_START / 2 + seconds.min(REPORTS_PER_START / 4);
        Self(Arc::new(AtomicU64::new(identity.uncounted_for.map_or(first, uncounted))))
    }

    /// The start of the service that gave a report this number.
    pub fn starts_of(seq: u64) -> u64 {
        seq / REPORTS_PER_START
    }

    /// The next number, higher than all earlier ones.
    pub fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}
