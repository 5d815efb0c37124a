//! The parts that hosts play: in each dozen most are steady, and each of the others has its own story.

use super::commit::Commit;

/// What sets a host apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Nothing ever goes wrong.
    Steady,
    /// It gets every commit first.
    Canary,
    /// It builds much and slowly, and follows the branch `testing`.
    Builder,
    /// Its power fails now and then.
    Unplugged,
    /// Its health check fails with every newer commit.
    Unhealthy,
    /// A service fails with every newer commit.
    Crashing,
    /// It was not rebooted since it got another kernel.
    NotRebooted,
    /// There is little space on its `/boot`, and its release is older.
    Cramped,
    /// One of its units has failed, which no deployment has to do with.
    Degraded,
}

/// How an activation goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The health check does not succeed.
    HealthCheck,
    /// A unit newly fails.
    Unit,
}

impl Part {
    /// The part of a host of this role in the round of its dozen.
    pub(super) fn of(role: &str, round: usize) -> Self {
        match (role, round % 3) {
            ("cache", 1) => Self::Unhealthy,
            ("cache", 2) => Self::Canary,
            ("ci", 1) => Self::Builder,
            ("ci", 2) => Self::Unplugged,
            ("dns", 1) => Self::NotRebooted,
            ("dns", 2) => Self::Degraded,
            ("web", 1) => Self::Cramped,
            ("web", 2) => Self::Crashing,
            _ => Self::Steady,
        }
    }

    /// How the activation of this commit goes wrong.
    pub(super) fn trouble(self, commit: &Commit) -> Option<Trouble> {
        match self {
            Self::Unhealthy => (commit.number >= 4).then_some(Trouble::HealthCheck),
            Self::Crashing => (commit.number >= 6).then_some(Trouble::Unit),
            _ => None,
        }
    }

    /// How long it takes for everything, compared with others.
    pub(super) fn slowness(self, role: &str) -> f64 {
        match self {
            Self::Builder => 1.3,
            Self::Steady if role == "cache" => 0.4,
            Self::Canary => 0.6,
            _ => 1.0,
        }
    }

    /// The release of NixOS and its name.
    pub(super) fn release(self) -> (&'static str, &'static str) {
        match self {
            Self::Cramped => ("25.11", "Xantusia"),
            _ => ("26.05", "Yarara"),
        }
    }
}
