//! Number of hosts per status, for the line below the header.

use crate::fleet::{BranchHeads, Host, HostStatus, Outdated, Reachability};
use jiff::Timestamp;

/// Number of hosts per status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the number of hosts in that state")]
pub struct FleetCounts {
    pub online: usize,
    pub stale: usize,
    pub offline: usize,
    pub restarting: usize,
    pub deploying: usize,
    pub failed: usize,
    /// Number of failed units on all hosts.
    pub units: usize,
    /// Number of hosts with a nearly full file system.
    pub disk: usize,
    pub reboot: usize,
    pub held: usize,
    pub changed: usize,
    pub unproven: usize,
    /// Number of names that several listeners use.
    pub duplicate: usize,
    pub outdated: usize,
    /// Number of deployments that are under way; set by the caller.
    pub deployments: usize,
}

impl FleetCounts {
    pub(super) fn of<'a>(
        hosts: impl IntoIterator<Item = &'a Host>,
        heads: Option<&BranchHeads>,
        now: Timestamp,
    ) -> Self {
        let mut counts = Self::default();
        for host in hosts {
            *match host.reachability(now) {
                Reachability::Online => &mut counts.online,
                Reachability::Stale => &mut counts.stale,
                Reachability::Offline => &mut counts.offline,
                Reachability::Restarting => &mut counts.restarting,
            } += 1;
            let outdated = heads.map(|heads| heads.outdated(host));
            counts.outdated += usize::from(matches!(outdated, Some(Outdated::Yes { .. })));
            let status = host.status(now);
            // A running job may correct the last failure, as the row shows.
            let deploys = matches!(status, HostStatus::Deploying(_));
            counts.deploying += usize::from(deploys);
            counts.failed += usize::from(matches!(status, HostStatus::Failed(_)));
            counts.duplicate += usize::from(host.has_name_conflict(now));
            counts.changed += usize::from(host.has_changed_key());
            counts.unproven += usize::from(matches!(status, HostStatus::Unproven));
            counts.units += host.failed_units().len();
            counts.disk += usize::from(host.low_disk().is_some());
            counts.reboot += usize::from(host.needs_reboot());
            counts.held += usize::from(host.is_held());
        }
        counts
    }
}
