//! How many hosts are how, for the line below the header.

use crate::fleet::{Heads, Host, Lag, Presence};
use jiff::Timestamp;

/// How many hosts there are of each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the number of hosts that are so")]
pub struct Counts {
    pub online: usize,
    pub stale: usize,
    pub offline: usize,
    pub restarting: usize,
    pub deploying: usize,
    pub failed: usize,
    /// The number of failed units, of whatever hosts.
    pub units: usize,
    pub reboot: usize,
    pub behind: usize,
    /// The number of deployments under way, of whatever hosts; counted by whoever needs it.
    pub deployments: usize,
}

impl Counts {
    pub(super) fn of<'a>(
        hosts: impl IntoIterator<Item = &'a Host>,
        heads: Option<&Heads>,
        now: Timestamp,
    ) -> Self {
        let mut counts = Self::default();
        for host in hosts {
            let presence = host.presence(now);
            *match presence {
                Presence::Online => &mut counts.online,
                Presence::Stale => &mut counts.stale,
                Presence::Offline => &mut counts.offline,
                Presence::Restarting => &mut counts.restarting,
            } += 1;
            let lag = heads.map(|heads| heads.lag(host));
            counts.behind += usize::from(matches!(lag, Some(Lag::Behind { .. })));
            if presence != Presence::Offline {
                counts.deploying += usize::from(host.running_job().is_some());
                counts.failed += usize::from(host.has_failed());
                counts.units += host.failed_units().len();
                counts.reboot += usize::from(host.needs_reboot());
            }
        }
        counts
    }
}
