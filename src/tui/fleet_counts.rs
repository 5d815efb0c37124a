//! Number of hosts per status, for the line below the header. A report changes only what its host contributes.

use super::HostGroup;
use super::likewise::Likewise;
use crate::fleet::{AttentionGroup, BranchHeads, Fleet, Host, HostStatus, Outdated, Reachability};
use crate::protocol::Name;
use jiff::Timestamp;
use std::cmp::Reverse;
use std::collections::binary_heap::PeekMut;
use std::collections::{BTreeMap, BinaryHeap, HashMap};

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
    /// Number of services that are not well, on all hosts with Docker Compose.
    pub services: usize,
    /// Number of hosts with a nearly full file system.
    pub disk: usize,
    pub reboot: usize,
    pub held: usize,
    pub changed: usize,
    pub unproven: usize,
    /// Number of names that several listeners use.
    pub duplicate: usize,
    pub outdated: usize,
    /// Number of hosts whose worst problem is a failure.
    pub bad: usize,
    /// Number of other hosts that need attention.
    pub warned: usize,
    /// Number of hosts without a problem or a job.
    pub well: usize,
    /// Number of deployments that are under way; set by the caller.
    pub deployments: usize,
}

/// The counts of the hosts of one tier and role.
#[derive(Debug)]
struct CountedGroup {
    group: HostGroup,
    counts: FleetCounts,
}

/// Which parts of a host's place have changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct PlaceChange {
    /// Its severity.
    pub(super) rank: bool,
    /// Its tier or its role.
    pub(super) group: bool,
}

impl CountedGroup {
    /// Whether a host belongs to the group.
    fn holds(&self, host: &Host) -> bool {
        (&self.group.tier, &self.group.role) == (&host.tier, &host.role)
    }
}

/// A host that is counted.
#[derive(Debug)]
struct CountedHost {
    /// Its severity.
    rank: u8,
    /// The index of its tier and role in the list of groups.
    group: u32,
    counts: HostCounts,
    /// When it is to be counted again if no message arrives; the last time that there is, for never.
    due: Timestamp,
    /// The time of its entry in the queue, which is at most `due`; the last time that there is, without an entry.
    queued: Timestamp,
}

/// What one host contributes to the counts, in few bytes, because there are many hosts: at most 1 to each count but
/// those of units and services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct HostCounts {
    /// A bit for each count.
    flags: u32,
    units: u32,
    services: u32,
}

impl HostCounts {
    fn new(mut counts: FleetCounts) -> Self {
        let [units, services] =
            [counts.units, counts.services].map(|count| u32::try_from(count).unwrap_or(u32::MAX));
        let bits = counts.each().into_iter().enumerate();
        let flags = bits.fold(0, |flags, (bit, count)| flags | u32::from(*count > 0) << bit);
        Self { flags, units, services }
    }

    fn counts(self) -> FleetCounts {
        let mut counts = FleetCounts::default();
        for (bit, count) in counts.each().into_iter().enumerate() {
            *count = usize::from(self.flags >> bit & 1 == 1);
        }
        (counts.units, counts.services) = (self.units as usize, self.services as usize);
        counts
    }
}

impl PlaceChange {
    fn merge(&mut self, other: Self) {
        (self.rank, self.group) = (self.rank | other.rank, self.group | other.group);
    }
}

/// The counts of all hosts, and what each host contributes to them.
#[derive(Debug, Default)]
pub(super) struct CountedHosts {
    hosts: HashMap<Name, CountedHost>,
    total: FleetCounts,
    /// Whether no host must be counted again for a reason other than the time.
    pub(super) is_fresh: bool,
    /// The time for which the hosts were counted last.
    at: Timestamp,
    /// The hosts to count again, by time: one valid entry for each, and entries that a host no longer has.
    queue: BinaryHeap<Reverse<(Timestamp, Name)>>,
    /// The counts of each tier and role. A group stays, because hosts have its index.
    groups: Vec<CountedGroup>,
    /// The index of each tier and role in `groups`.
    group_indices: BTreeMap<HostGroup, u32>,
    /// The hosts with the same trouble.
    pub(super) likewise: Likewise,
    /// The hosts whose severity has changed since the last frame, with the new one.
    reranked: Vec<(Name, u8)>,
}

impl CountedHosts {
    /// The counts of all hosts.
    pub(super) fn total(&self) -> FleetCounts {
        self.total
    }

    /// Takes the hosts whose severity has changed since the last call.
    pub(super) fn take_reranked(&mut self) -> Vec<(Name, u8)> {
        std::mem::take(&mut self.reranked)
    }

    /// The counts of all hosts of a tier and role.
    pub(super) fn of_group(&self, group: &HostGroup) -> FleetCounts {
        let index = self.group_indices.get(group);
        index.map(|index| self.groups[*index as usize].counts).unwrap_or_default()
    }

    /// The counts of these hosts.
    pub(super) fn of<'a>(&self, hosts: impl IntoIterator<Item = &'a Name>) -> FleetCounts {
        let mut counts = FleetCounts::default();
        hosts
            .into_iter()
            .filter_map(|host| self.hosts.get(host))
            .for_each(|host| counts.add(&host.counts.counts()));
        counts
    }

    /// Counts a host again, after a report or because time has passed.
    pub(super) fn update(&mut self, host: &Host, heads: Option<&BranchHeads>, now: Timestamp) -> PlaceChange {
        let change = self.count(host, heads, now);
        self.likewise.update(host, now);
        if let Some(counted) = self.hosts.get_mut(&host.name) {
            counted.due = host.next_change(now).unwrap_or(Timestamp::MAX);
            // A later time replaces the entry when that is due, so that reports do not fill the queue.
            if counted.due < counted.queued {
                counted.queued = counted.due;
                self.queue.push(Reverse((counted.due, host.name.clone())));
            }
        }
        change
    }

    fn count(&mut self, host: &Host, heads: Option<&BranchHeads>, now: Timestamp) -> PlaceChange {
        let counts = FleetCounts::of(host, heads, now);
        let (packed, rank) = (HostCounts::new(counts), host.rank(now));
        let Some(known) = self.hosts.get_mut(&host.name) else {
            let group = self.group_index(host);
            self.groups[group as usize].counts.add(&counts);
            self.total.add(&counts);
            let (due, queued) = (Timestamp::MAX, Timestamp::MAX);
            let counted = CountedHost { rank, group, counts: packed, due, queued };
            self.hosts.insert(host.name.clone(), counted);
            self.reranked.push((host.name.clone(), rank));
            return PlaceChange { rank: true, group: true };
        };
        let (former, before) = (known.group, known.counts);
        let change = PlaceChange {
            rank: std::mem::replace(&mut known.rank, rank) != rank,
            group: !self.groups[former as usize].holds(host),
        };
        if before != packed || change.group {
            known.counts = packed;
            let before = before.counts();
            self.groups[former as usize].counts.subtract(&before);
            self.total.subtract(&before);
            let group = if change.group { self.group_index(host) } else { former };
            self.groups[group as usize].counts.add(&counts);
            self.total.add(&counts);
            if change.group
                && let Some(known) = self.hosts.get_mut(&host.name)
            {
                known.group = group;
            }
        }
        if change.rank {
            self.reranked.push((host.name.clone(), rank));
        }
        change
    }

    /// The index of the group of a host, which is new if it is the first one of its tier and role.
    fn group_index(&mut self, host: &Host) -> u32 {
        let group = HostGroup::of(host);
        if let Some(index) = self.group_indices.get(&group) {
            return *index;
        }
        // A host would have to announce billions of groups to reach the limit.
        let index = u32::try_from(self.groups.len()).unwrap_or(u32::MAX);
        self.groups.push(CountedGroup { group: group.clone(), counts: FleetCounts::default() });
        self.group_indices.insert(group, index);
        index
    }

    /// Counts those hosts again that have changed with the time; all of them if they are not fresh, or if the time went
    /// back.
    pub(super) fn refresh(
        &mut self,
        fleet: &Fleet,
        heads: Option<&BranchHeads>,
        now: Timestamp,
    ) -> PlaceChange {
        let mut all = PlaceChange::default();
        let is_complete = std::mem::replace(&mut self.is_fresh, true) && now >= self.at;
        self.at = now;
        if !is_complete {
            for host in fleet.hosts.values() {
                all.merge(self.update(host, heads, now));
            }
        }
        while let Some(name) = self.next_due(now) {
            all.merge(fleet.hosts.get(&name).map(|host| self.update(host, heads, now)).unwrap_or_default());
        }
        all
    }

    /// Takes the next host from the queue that must be counted again.
    fn next_due(&mut self, now: Timestamp) -> Option<Name> {
        loop {
            let Reverse((at, name)) = PeekMut::pop(self.queue.peek_mut().filter(|entry| entry.0.0 <= now)?);
            let Some(counted) = self.hosts.get_mut(&name).filter(|counted| counted.queued == at) else {
                continue;
            };
            // A message may have moved the time since.
            let later = Some(counted.due).filter(|due| *due > now && *due < Timestamp::MAX);
            counted.queued = later.unwrap_or(Timestamp::MAX);
            let Some(later) = later else { return Some(name) };
            self.queue.push(Reverse((later, name)));
        }
    }
}

impl FleetCounts {
    /// What a host contributes.
    fn of(host: &Host, heads: Option<&BranchHeads>, now: Timestamp) -> Self {
        let mut counts = Self::default();
        *match host.reachability(now) {
            Reachability::Online => &mut counts.online,
            Reachability::Stale => &mut counts.stale,
            Reachability::Offline => &mut counts.offline,
            Reachability::Restarting => &mut counts.restarting,
        } = 1;
        let outdated = heads.map(|heads| heads.outdated(host));
        counts.outdated = usize::from(matches!(outdated, Some(Outdated::Yes { .. })));
        let status = host.status(now);
        // A running job may correct the last failure, as the row shows.
        counts.deploying = usize::from(matches!(status, HostStatus::Deploying(_)));
        counts.failed = usize::from(matches!(status, HostStatus::Failed(_)));
        counts.duplicate = usize::from(host.has_name_conflict(now));
        counts.changed = usize::from(host.has_changed_key());
        counts.unproven = usize::from(matches!(status, HostStatus::Unproven));
        *if host.is_compose() { &mut counts.services } else { &mut counts.units } = host.failed_units().len();
        counts.disk = usize::from(host.low_disk().is_some());
        counts.reboot = usize::from(host.needs_reboot());
        counts.held = usize::from(host.is_held());
        counts.bad = usize::from(status.is_failure());
        counts.warned = usize::from(status.group() == AttentionGroup::Attention && !status.is_failure());
        counts.well = usize::from(status.group() == AttentionGroup::Well);
        counts
    }

    fn add(&mut self, other: &Self) {
        let mut other = *other;
        self.each().into_iter().zip(other.each()).for_each(|(count, other)| *count += *other);
    }

    fn subtract(&mut self, other: &Self) {
        let mut other = *other;
        self.each().into_iter().zip(other.each()).for_each(|(count, other)| *count -= *other);
    }

    /// All counts of hosts.
    fn each(&mut self) -> [&mut usize; 18] {
        [
            &mut self.online,
            &mut self.stale,
            &mut self.offline,
            &mut self.restarting,
            &mut self.deploying,
            &mut self.failed,
            &mut self.units,
            &mut self.services,
            &mut self.disk,
            &mut self.reboot,
            &mut self.held,
            &mut self.changed,
            &mut self.unproven,
            &mut self.duplicate,
            &mut self.outdated,
            &mut self.bad,
            &mut self.warned,
            &mut self.well,
        ]
    }
}
