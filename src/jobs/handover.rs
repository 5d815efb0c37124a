//! The part of the listener's configuration that the worker needs, recorded at the handover.

use serde::{Deserialize, Serialize};

/// Which other client a host received messages from before its activation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeerBaseline {
    /// No other client is needed: the host's own connection is enough.
    #[default]
    NotNeeded,
    /// No other client was found; health checks replace it.
    HealthChecks,
    /// An operator who follows the job.
    Operator,
    /// A host whose presence arrived unrequested.
    Hosts,
    /// A host whose reply arrived over a new connection.
    FreshHosts,
}

/// How a host is confirmed after an activation, and what happens if the confirmation fails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handover {
    /// Path of the system profile.
    pub profile: String,
    /// Seconds within which the host must be confirmed; 0 disables the confirmation.
    pub confirm_timeout_s: u64,
    /// Which other client was reachable before the activation, if only another client can confirm this host.
    #[serde(default)]
    pub peers: PeerBaseline,
    /// Minimum number of seconds between an activation that touched the connection and the last confirmation.
    #[serde(default)]
    pub confirm_hold_s: u64,
    /// Maximum duration of the activation, in seconds.
    #[serde(default = "default_activate_timeout_s")]
    pub activate_timeout_s: u64,
    /// Whether the host may be rebooted if no other way restores the old system.
    #[serde(default)]
    pub last_resort_reboot: bool,
    /// Commands that must succeed after the activation.
    #[serde(default)]
    pub health_checks: Vec<String>,
    /// Maximum duration of the health checks, in seconds.
    pub health_timeout_s: u64,
    /// Globs of units whose failure is ignored.
    #[serde(default)]
    pub ignore_units: Vec<String>,
    /// Whether the new system keeps running after failed units or health checks.
    #[serde(default)]
    pub no_rollback: bool,
    /// The listener's own unit, if a service manager runs it.
    #[serde(default)]
    pub listener_unit: Option<String>,
    /// The count of service starts at the handover: only a later start can confirm the host.
    pub starts: u64,
}

fn default_activate_timeout_s() -> u64 {
    900
}
