//! The durations of past jobs, as far as hosts were queried for them.

use crate::fleet::JobDurations;
use crate::ordered::CollectOrdered;
use crate::protocol::{HistoryEntry, Name};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeSet, HashMap};

/// How long the durations of a host are valid, and how long a query is not repeated.
const MAX_AGE: SignedDuration = SignedDuration::from_mins(5);
/// Number of hosts in memory; the ones queried longest ago are dropped.
const MAX_HOSTS: usize = 2000;
/// Number of hosts per query.
const MAX_QUERIED: usize = 100;

/// The durations of past jobs by host.
#[derive(Debug, Default)]
pub struct KnownDurations {
    hosts: HashMap<Name, HostDurations>,
}

#[derive(Debug)]
struct HostDurations {
    jobs: JobDurations,
    requested_at: Timestamp,
}

impl KnownDurations {
    /// The durations of a host, if it has replied.
    pub fn of(&self, host: &Name) -> Option<&JobDurations> {
        self.hosts.get(host).map(|known| &known.jobs).filter(|jobs| !jobs.is_empty())
    }

    /// Those of `hosts` to query now; they count as queried.
    pub(super) fn take_due<'a>(
        &mut self,
        hosts: impl Iterator<Item = &'a Name>,
        now: Timestamp,
    ) -> BTreeSet<Name> {
        let is_due = |host: &&Name| {
            self.hosts.get(*host).is_none_or(|known| now.duration_since(known.requested_at) > MAX_AGE)
        };
        let due: BTreeSet<Name> = hosts.filter(is_due).take(MAX_QUERIED).cloned().collect_set();
        for host in &due {
            let known = self.hosts.entry(host.clone());
            known
                .and_modify(|known| known.requested_at = now)
                .or_insert(HostDurations { jobs: JobDurations::default(), requested_at: now });
        }
        while self.hosts.len() > MAX_HOSTS {
            let oldest = self.hosts.iter().min_by_key(|(_, known)| known.requested_at);
            let Some(oldest) = oldest.map(|(host, _)| host.clone()) else { break };
            self.hosts.remove(&oldest);
        }
        due
    }

    /// Stores the history of a host.
    pub(super) fn set(&mut self, host: &Name, entries: &[HistoryEntry]) {
        if let Some(known) = self.hosts.get_mut(host) {
            known.jobs = JobDurations::of_history(entries);
        }
    }
}
