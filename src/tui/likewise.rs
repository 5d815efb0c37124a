//! The hosts with the same trouble as the selected host.

use super::App;
use crate::fleet::{DiskPlace, Fleet, Host, HostStatus, failure_groups, natural_cmp};
use crate::protocol::Name;
use jiff::Timestamp;

/// The hosts with the same trouble as one host. Computed again if another host is selected or a severity has changed.
#[derive(Debug, Default)]
pub struct Likewise {
    of: Option<(Name, u64)>,
    hosts: Vec<Name>,
}

/// What is the same on several hosts.
#[derive(PartialEq)]
enum Trouble<'a> {
    Failed,
    Units(&'a [String]),
    Disk(DiskPlace),
}

impl Likewise {
    /// The other hosts with the same trouble as this one.
    pub fn hosts(&self, host: &Name) -> &[Name] {
        let is_current = self.of.as_ref().is_some_and(|(of, _)| of == host);
        if is_current { &self.hosts } else { &[] }
    }

    pub(super) fn refresh(&mut self, app: &App) {
        let of = app.host().map(|host| (host.name.clone(), app.counted.rank_changes));
        if self.of == of {
            return;
        }
        self.hosts = app.host().map(|host| others(&app.fleet, host, app.now)).unwrap_or_default();
        self.of = of;
    }
}

fn others(fleet: &Fleet, host: &Host, now: Timestamp) -> Vec<Name> {
    let Some(trouble) = Trouble::of(host, now) else { return Vec::new() };
    let mut same: Vec<_> = match trouble {
        Trouble::Failed => {
            let failed =
                fleet.hosts.values().filter(|other| Trouble::of(other, now) == Some(Trouble::Failed));
            let groups = failure_groups(failed.filter_map(Host::failed_change));
            groups.into_iter().find(|group| group.hosts.contains(&host.name)).map(|group| group.hosts)
        }
        trouble => {
            let same =
                fleet.hosts.values().filter(|other| Trouble::of(other, now).as_ref() == Some(&trouble));
            Some(same.map(|other| other.name.clone()).collect())
        }
    }
    .unwrap_or_default();
    same.retain(|name| *name != host.name);
    same.sort_unstable_by(natural_cmp);
    same
}

impl<'a> Trouble<'a> {
    fn of(host: &'a Host, now: Timestamp) -> Option<Self> {
        match host.status(now) {
            HostStatus::Failed(_) => Some(Self::Failed),
            HostStatus::Units(units) => Some(Self::Units(units)),
            HostStatus::Disk(low) => Some(Self::Disk(low.place)),
            _ => None,
        }
    }
}
