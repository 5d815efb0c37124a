//! The hosts with the same trouble. A message changes only what its host contributes.

use crate::fleet::{DiskPlace, FailureGroups, Host, HostStatus, NaturalName};
use crate::protocol::{DeployReport, Name};
use jiff::Timestamp;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// The troubles of all hosts, by what is the same.
#[derive(Debug, Default)]
pub(super) struct Likewise {
    failed: FailureGroups,
    others: HashMap<OtherTrouble, BTreeSet<NaturalName>>,
    of: HashMap<Name, Trouble>,
}

/// What several hosts can have in common.
#[derive(Debug, Clone)]
enum Trouble {
    Failed(Arc<DeployReport>),
    Other(OtherTrouble),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum OtherTrouble {
    Units(Vec<String>),
    Disk(DiskPlace),
}

impl Likewise {
    /// The other hosts with the same trouble as this one, in natural order.
    pub(super) fn others<'a>(&'a self, host: &Name) -> Vec<&'a Name> {
        let mut same: Vec<_> = match self.of.get(host) {
            Some(Trouble::Failed(report)) => self.failed.hosts_like(report).collect(),
            Some(Trouble::Other(trouble)) => {
                self.others.get(trouble).into_iter().flatten().map(|name| &name.0).collect()
            }
            None => Vec::new(),
        };
        same.retain(|other| *other != host);
        same
    }

    /// Applies the state of a host.
    pub(super) fn update(&mut self, host: &Host, now: Timestamp) {
        let trouble = Trouble::of(host, now);
        match (self.of.get(&host.name), &trouble) {
            (None, None) => return,
            (Some(before), Some(trouble)) if before.is_same(trouble) => return,
            _ => {}
        }
        let name = NaturalName(host.name.clone());
        match self.of.remove(&host.name) {
            Some(Trouble::Failed(report)) => self.failed.remove(&report),
            Some(Trouble::Other(trouble)) => {
                if let Some(hosts) = self.others.get_mut(&trouble) {
                    hosts.remove(&name);
                    if hosts.is_empty() {
                        self.others.remove(&trouble);
                    }
                }
            }
            None => {}
        }
        let Some(trouble) = trouble else { return };
        match &trouble {
            Trouble::Failed(report) => self.failed.add(report),
            Trouble::Other(other) => drop(self.others.entry(other.clone()).or_default().insert(name)),
        }
        self.of.insert(host.name.clone(), trouble);
    }
}

impl Trouble {
    fn of(host: &Host, now: Timestamp) -> Option<Self> {
        match host.status(now) {
            HostStatus::Failed(_) => host.last_change.clone().map(Self::Failed),
            HostStatus::Units(units) => Some(Self::Other(OtherTrouble::Units(units.to_vec()))),
            HostStatus::Disk(low) => Some(Self::Other(OtherTrouble::Disk(low.place))),
            _ => None,
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Failed(a), Self::Failed(b)) => Arc::ptr_eq(a, b),
            (Self::Other(a), Self::Other(b)) => a == b,
            _ => false,
        }
    }
}
