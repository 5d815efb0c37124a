//! The scenarios of the hosts: most hosts of each dozen are steady, and each of the others has a different fault.

use super::commit::Commit;

/// Scenario of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Scenario {
    /// No deployment fails.
    Steady,
    /// The host gets every commit first.
    Canary,
    /// The host builds a lot and slowly, and follows the branch `testing`.
    Builder,
    /// The host loses its power from time to time.
    PowerLoss,
    /// The health check fails with every newer commit.
    Unhealthy,
    /// A service fails with every newer commit.
    Crashing,
    /// The host was not rebooted since its last kernel update.
    RebootPending,
    /// `/boot` has little free space, and the NixOS release is older.
    LowBootSpace,
    /// The host runs services with Docker Compose.
    Compose,
    /// A unit has failed that is unrelated to any deployment.
    Degraded,
}

/// Fault of an activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ActivationFault {
    /// The health check does not succeed.
    HealthCheck,
    /// A unit starts failing.
    FailedUnit,
}

impl Scenario {
    /// Scenario for a host of this role in this round of the roles.
    pub(super) fn of(role: &str, round: usize) -> Self {
        match (role, round % 3) {
            ("cache", 1) => Self::Unhealthy,
            ("cache", 2) => Self::Canary,
            ("ci", 1) => Self::Builder,
            ("ci", 2) => Self::PowerLoss,
            ("dns", 1) => Self::RebootPending,
            ("dns", 2) => Self::Degraded,
            ("web", 1) => Self::LowBootSpace,
            ("web", 2) => Self::Crashing,
            _ => Self::Steady,
        }
    }

    /// The fault of an activation of this commit, if it has one.
    pub(super) fn activation_fault(self, commit: &Commit) -> Option<ActivationFault> {
        match self {
            Self::Unhealthy => (commit.number >= 4).then_some(ActivationFault::HealthCheck),
            Self::Crashing => (commit.number >= 6).then_some(ActivationFault::FailedUnit),
            _ => None,
        }
    }

    /// Factor for all durations of the host.
    pub(super) fn slowdown(self, role: &str) -> f64 {
        match self {
            Self::Builder => 1.3,
            Self::Steady if role == "cache" => 0.4,
            Self::Canary => 0.6,
            _ => 1.0,
        }
    }

    /// Version and code name of the NixOS release.
    pub(super) fn release(self) -> (&'static str, &'static str) {
        match self {
            Self::LowBootSpace => ("25.11", "Xantusia"),
            _ => ("26.05", "Yarara"),
        }
    }
}
