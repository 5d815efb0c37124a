//! A build of the builder as an operator sees it.

use crate::protocol::{BuildHost, BuildReport, Id, PhaseState};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use std::sync::Arc;

/// The number of builds that are remembered.
pub(super) const MAX_BUILDS: usize = 100;
/// How long a builder that numbers its reports may be silent. It reports every 15 s.
const OVERDUE_AFTER: SignedDuration = SignedDuration::from_secs(45);

/// A build and its latest report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FleetBuild {
    /// The id of the build request.
    pub id: Id,
    /// The latest report of the build.
    pub report: Arc<BuildReport>,
    /// When the first report arrived, by the operator's clock.
    pub first_seen: Timestamp,
    /// When the last report arrived, by the operator's clock.
    pub last_seen: Timestamp,
}

impl FleetBuild {
    /// Whether the build has its result.
    pub fn is_finished(&self) -> bool {
        self.report.status.is_final()
    }

    /// Whether the builder stopped reporting during the build. A base builder never reports while it builds.
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        !self.is_finished() && self.report.seq.is_some() && now.duration_since(self.last_seen) > OVERDUE_AFTER
    }

    /// The number of hosts in this state.
    pub fn count(&self, state: &PhaseState) -> usize {
        self.report.hosts.iter().filter(|host| host.state == *state).count()
    }

    /// The hosts in display order: failed, running, not started, done.
    pub fn hosts(&self) -> Vec<&BuildHost> {
        let rank = |host: &&BuildHost| match host.state {
            PhaseState::Failed => 0,
            PhaseState::Running => 1,
            PhaseState::Done => 3,
            _ => 2,
        };
        let mut hosts: Vec<_> = self.report.hosts.iter().collect();
        hosts.sort_unstable_by(|a, b| {
            rank(a).cmp(&rank(b)).then_with(|| super::natural_cmp(&a.hostname, &b.hostname))
        });
        hosts
    }
}
