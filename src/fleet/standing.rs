//! How a host stands: the one thing to know of it first.

use super::{Host, Presence};
use crate::protocol::{DeployReport, Doubt, Status};
use jiff::Timestamp;

/// How a host stands at a moment. Silence hides what was last known to run there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Standing<'a> {
    /// Its last job failed.
    Failed(&'a DeployReport),
    /// A job runs.
    Working(&'a DeployReport),
    /// Something sends in its name, but not with the key that is known for it.
    Changed,
    /// Something sends in its name and does not prove that it is this host.
    Unproven,
    /// Silent for ten of its intervals, or it said goodbye.
    Offline,
    /// Silent for three of its intervals.
    Stale,
    /// It said that it comes back.
    Restarting,
    /// Present, and nothing is wrong.
    Idle,
}

impl Standing<'_> {
    /// The word for it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Failed(_) => "failed",
            Self::Working(_) => "deploying",
            Self::Changed => "changed",
            Self::Unproven => "unproven",
            Self::Offline => "offline",
            Self::Stale => "stale",
            Self::Restarting => "restarting",
            Self::Idle => "idle",
        }
    }
}

impl Host {
    /// How it stands.
    pub fn standing(&self, now: Timestamp) -> Standing<'_> {
        match (self.presence(now), self.job.as_deref()) {
            (Presence::Offline, _) => match (self.identity.proven, &self.identity.doubt) {
                (false, Some(Doubt::OtherKey(_))) => Standing::Changed,
                (false, Some(_)) => Standing::Unproven,
                _ => Standing::Offline,
            },
            (Presence::Stale, _) => Standing::Stale,
            (Presence::Restarting, _) => Standing::Restarting,
            (Presence::Online, Some(job)) if !job.status.is_final() => Standing::Working(job),
            (Presence::Online, Some(job)) if job.status == Status::Failed => Standing::Failed(job),
            (Presence::Online, _) => Standing::Idle,
        }
    }

    /// Its place in an order by state: what needs attention comes first.
    pub fn rank(&self, now: Timestamp) -> u8 {
        match self.standing(now) {
            Standing::Failed(_) => 0,
            Standing::Working(_) => 1,
            Standing::Changed => 2,
            Standing::Unproven => 3,
            Standing::Offline => 4,
            Standing::Stale => 5,
            Standing::Restarting => 6,
            Standing::Idle if self.is_duplicate(now) => 7,
            Standing::Idle if !self.failed_units().is_empty() => 8,
            Standing::Idle if self.needs_reboot() => 9,
            Standing::Idle => 10,
        }
    }
}
