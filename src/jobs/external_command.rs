//! A program that does a job apart from the listener, as its record names it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A program that was started for a job, or was about to be. Written before the program starts, so that a later listener
/// follows it instead of starting it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExternalCommand {
    /// The program.
    pub program: String,
    /// The transient unit that it runs in, if systemd runs the host.
    #[serde(default)]
    pub unit: Option<String>,
    /// Which boot it runs on.
    #[serde(default)]
    pub boot_id: Option<String>,
    /// Where its output begins in the job's log, in bytes.
    pub log_offset: u64,
    /// When it was started, by this host's clock.
    pub started_at: Timestamp,
}
