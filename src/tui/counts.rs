//! How many hosts are how, for the line below the header.

use super::App;
use super::deployments::Known;
use crate::fleet::Presence;

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
    pub reboot: usize,
    /// The number of deployments under way.
    pub deployments: usize,
}

impl Counts {
    pub(super) fn of(app: &App) -> Self {
        let mut counts = Self { deployments: Known::running(app), ..Self::default() };
        for host in app.fleet.hosts.values() {
            let presence = host.presence(app.now);
            *match presence {
                Presence::Online => &mut counts.online,
                Presence::Stale => &mut counts.stale,
                Presence::Offline => &mut counts.offline,
                Presence::Restarting => &mut counts.restarting,
            } += 1;
            if presence != Presence::Offline {
                counts.deploying += usize::from(host.running_job().is_some());
                counts.failed += usize::from(host.has_failed());
                let answer = host.answer.as_ref();
                counts.reboot += usize::from(answer.is_some_and(|answer| answer.reboot_needed == Some(true)));
            }
        }
        counts
    }
}
