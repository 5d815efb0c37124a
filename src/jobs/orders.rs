//! What the activation program must know of the listener's configuration, written down at the hand-over.

use serde::{Deserialize, Serialize};

/// Which other client a host heard before its activation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeersBefore {
    /// Its own connection is enough.
    #[default]
    NotNeeded,
    /// None, and its health checks take their place.
    Alone,
    /// An operator who follows the job.
    Operator,
    /// A host that announced itself unasked.
    Hosts,
    /// A host, over a connection that was made for it.
    FreshHosts,
}

/// How a host proves itself after an activation, and what is done where it does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orders {
    /// The system profile.
    pub profile: String,
    /// Seconds to prove that the host can be reached; 0: no proof.
    pub confirm_timeout_s: u64,
    /// Which other client was heard before the activation, where only another client can confirm this host.
    #[serde(default)]
    pub peers: PeersBefore,
    /// The least number of seconds between an activation that touched the connection and its last confirmation.
    #[serde(default)]
    pub confirm_hold_s: u64,
    /// Seconds that the activation may take.
    #[serde(default = "default_activate_timeout_s")]
    pub activate_timeout_s: u64,
    /// Whether the host may be rebooted if nothing else brings the old system back.
    #[serde(default)]
    pub last_resort_reboot: bool,
    /// Commands that must succeed after the activation.
    #[serde(default)]
    pub health_checks: Vec<String>,
    /// Seconds for them.
    pub health_timeout_s: u64,
    /// Globs of units whose failure does not count.
    #[serde(default)]
    pub ignore_units: Vec<String>,
    /// Leave the new system running on failed units and health checks.
    #[serde(default)]
    pub keep: bool,
    /// The listener's own unit, where a service manager runs it.
    #[serde(default)]
    pub listener_unit: Option<String>,
    /// How often the service had started when the job was handed over: only a later start may prove anything.
    pub starts: u64,
}

fn default_activate_timeout_s() -> u64 {
    900
}
