//! Hosts that are offline and units that have failed: what is new, and what is over. A pure fold: the time is an argument.

use super::notification::NotificationEvent;
use crate::fleet::{Fleet, Host, Reachability};
use crate::ordered::CollectOrdered;
use crate::protocol::Name;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The most hosts whose trouble is remembered.
const MAX_HOSTS: usize = 20_000;

/// The trouble of a host that was notified.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct HostTrouble {
    #[serde(default)]
    is_offline: bool,
    #[serde(default)]
    units: BTreeSet<String>,
}

/// What has changed on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TroubleChange {
    pub(super) host: Name,
    pub(super) event: NotificationEvent,
    /// The units that have failed, or no longer fail.
    pub(super) units: Vec<String>,
}

/// Watches the hosts of a fleet.
#[derive(Debug, Default)]
pub(super) struct HostWatch {
    notified: BTreeMap<Name, HostTrouble>,
    /// Since when a host has trouble that was not notified.
    offline_since: BTreeMap<Name, Timestamp>,
    units_since: BTreeMap<Name, Timestamp>,
    /// How long trouble lasts before it is notified.
    host_after: SignedDuration,
}

impl HostWatch {
    /// Continues with the trouble that an earlier process has notified.
    pub(super) fn new(host_after: SignedDuration, notified: BTreeMap<Name, HostTrouble>) -> Self {
        Self { notified, host_after, ..Self::default() }
    }

    /// The trouble that was notified, for the state file.
    pub(super) fn notified(&self) -> &BTreeMap<Name, HostTrouble> {
        &self.notified
    }

    /// Compares the fleet with what was notified.
    pub(super) fn changes(&mut self, fleet: &Fleet, now: Timestamp) -> Vec<TroubleChange> {
        let mut changes = Vec::new();
        for host in fleet.hosts_by_name() {
            // A host that was never seen is not proven, and its trouble is unknown.
            if host.last_seen.is_some()
                && (self.notified.len() < MAX_HOSTS || self.notified.contains_key(&host.name))
            {
                self.check(host, now, &mut changes);
            }
        }
        self.notified.retain(|_, trouble| *trouble != HostTrouble::default());
        changes
    }

    fn check(&mut self, host: &Host, now: Timestamp, changes: &mut Vec<TroubleChange>) {
        let name = &host.name;
        let mut change = |event, units: Vec<String>| {
            changes.push(TroubleChange { host: name.clone(), event, units });
        };
        let reachability = host.reachability(now);
        let notified = self.notified.entry(name.clone()).or_default();
        let lasts = |since: &mut BTreeMap<Name, Timestamp>| {
            now.duration_since(*since.entry(name.clone()).or_insert(now)) >= self.host_after
        };
        match (reachability, notified.is_offline) {
            (Reachability::Offline, false) if lasts(&mut self.offline_since) => {
                notified.is_offline = true;
                change(NotificationEvent::Offline, Vec::new());
            }
            (Reachability::Online, was_offline) => {
                self.offline_since.remove(name);
                if was_offline {
                    notified.is_offline = false;
                    change(NotificationEvent::Online, Vec::new());
                }
            }
            _ => {}
        }
        // During a job, units stop and start.
        if reachability != Reachability::Online || host.running_job().is_some() {
            return;
        }
        let failed = host.failed_units().iter().cloned().collect_set();
        let recovered: Vec<_> = notified.units.difference(&failed).cloned().collect();
        if !recovered.is_empty() {
            notified.units.retain(|unit| failed.contains(unit));
            change(NotificationEvent::UnitsRecovered, recovered);
        }
        let new: Vec<_> = failed.difference(&notified.units).cloned().collect();
        if new.is_empty() {
            self.units_since.remove(name);
        } else if lasts(&mut self.units_since) {
            self.units_since.remove(name);
            notified.units.extend(new.iter().cloned());
            change(NotificationEvent::UnitsFailed, new);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Presence;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_767_323_045 + seconds).unwrap_or_default()
    }

    fn name() -> Name {
        "web1".parse().unwrap_or_else(|error| panic!("{error}"))
    }

    fn presence(units: &[&str]) -> Presence {
        let tier = "test".parse().unwrap_or_else(|error| panic!("{error}"));
        let mut presence = Presence::new(name(), tier, None, Vec::<String>::new());
        presence.failed_units = units.iter().map(|unit| (*unit).to_owned()).collect();
        presence.interval_s = Some(10);
        presence
    }

    fn events(watch: &mut HostWatch, fleet: &Fleet, now: Timestamp) -> Vec<(NotificationEvent, Vec<String>)> {
        let changes = watch.changes(fleet, now);
        changes.into_iter().map(|change| (change.event, change.units)).collect()
    }

    #[test]
    fn a_host_that_stays_offline_is_notified_once_and_so_is_its_return() {
        let (mut fleet, mut watch) =
            (Fleet::default(), HostWatch::new(SignedDuration::from_secs(60), BTreeMap::new()));
        fleet.apply_presence(presence(&[]), at(0));
        assert_eq!(events(&mut watch, &fleet, at(99)), []);
        assert_eq!(events(&mut watch, &fleet, at(100)), []);
        assert_eq!(events(&mut watch, &fleet, at(160)), [(NotificationEvent::Offline, vec![])]);
        assert_eq!(events(&mut watch, &fleet, at(1000)), []);
        // After a restart.
        let mut watch = HostWatch::new(SignedDuration::from_secs(60), watch.notified().clone());
        assert_eq!(events(&mut watch, &fleet, at(2000)), []);
        fleet.apply_presence(presence(&[]), at(3000));
        assert_eq!(events(&mut watch, &fleet, at(3000)), [(NotificationEvent::Online, vec![])]);
        assert_eq!(watch.notified().len(), 0);
    }

    #[test]
    fn units_that_stay_failed_are_notified_once() {
        let (mut fleet, mut watch) =
            (Fleet::default(), HostWatch::new(SignedDuration::from_secs(5), BTreeMap::new()));
        fleet.apply_presence(presence(&["a.service"]), at(0));
        assert_eq!(events(&mut watch, &fleet, at(1)), []);
        let a = vec!["a.service".to_owned()];
        assert_eq!(events(&mut watch, &fleet, at(6)), [(NotificationEvent::UnitsFailed, a.clone())]);
        fleet.apply_presence(presence(&["a.service", "b.service"]), at(7));
        assert_eq!(events(&mut watch, &fleet, at(7)), []);
        let b = vec!["b.service".to_owned()];
        assert_eq!(events(&mut watch, &fleet, at(12)), [(NotificationEvent::UnitsFailed, b)]);
        fleet.apply_presence(presence(&["b.service"]), at(13));
        assert_eq!(events(&mut watch, &fleet, at(13)), [(NotificationEvent::UnitsRecovered, a)]);
    }
}
