//! The fleet as an operator sees it: a pure fold of messages. No clock and no I/O: the time is passed in with each
//! message.
//!
//! See ARCHITECTURE.md, "The operator's side".

mod build;
mod cause;
mod commits;
mod deployment;
pub mod describe;
mod durations;
mod failure_groups;
mod failures;
mod flakes;
mod folded_changes;
mod heads;
mod host;
mod host_limit;
mod host_status;
mod job_share;
mod known_rollout;
mod low_disk;
mod name_order;
mod version_order;

pub use build::FleetBuild;
pub use cause::{journal_cause, short_cause};
pub use commits::{
    CommitInfo, CommitPosition, CommitQuery, ComparedCommit, FleetCommits, HeadCommits, MAX_LISTED_COMMITS,
};
pub use deployment::{Deployment, HostJob, StatusCounts, host_share};
pub use durations::{COUNTED_JOBS, JobDurations, is_outlier, median};
pub use failure_groups::{FailureGroup, FailureGroups, failure_groups};
pub use failures::{failure_cause, failure_reason};
pub use flakes::{FlakeError, FlakeTrust, KnownFlakes, printable_flake};
pub use folded_changes::{FoldedChange, HostChange, fold_changes};
pub use heads::{BranchHeads, Outdated, UnknownReason};
pub use host::{Host, Reachability};
pub use host_status::{AttentionGroup, HostStatus};
pub use job_share::WHOLE_JOB;
pub use known_rollout::KnownRollout;
pub use low_disk::{DiskPlace, LOW_BOOT_BYTES, LOW_STATE_BYTES, LOW_STORE_BYTES, LowDisk};
pub use name_order::{NaturalName, natural_cmp};

use crate::ordered::CollectOrdered;
use crate::protocol::{BuildReport, DeployReport, Id, Inbound, Name, Presence, QueryReply};
use build::MAX_BUILDS;
use host_limit::HostLimit;
use jiff::Timestamp;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

/// The number of deployments that are remembered.
const MAX_DEPLOYMENTS: usize = 200;
/// The number that is remembered if deployments never finish because their hosts died or someone invents them.
const MAX_OPEN_DEPLOYMENTS: usize = 1000;

/// All hosts and deployments seen so far.
///
/// Times are times of arrival by the operator's clock, except for the start of jobs that began earlier.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Fleet {
    /// The hosts by name.
    pub hosts: HashMap<Name, Host>,
    /// The deployments by id.
    pub deployments: HashMap<Id, Deployment>,
    /// The builds of the builder, in the order of their first report.
    pub builds: VecDeque<FleetBuild>,
    /// The flakes of the hosts that were known at the start.
    #[serde(skip)]
    pub known_flakes: Arc<KnownFlakes>,
    /// The deployments, in the order of their first report.
    order: VecDeque<Id>,
    #[serde(skip)]
    limit: HostLimit,
    /// The number of ignored messages, from hosts beyond the limit on unknown hosts.
    #[serde(skip)]
    pub ignored: u64,
}

impl Fleet {
    /// Applies a message that arrived at `now`; returns whether anything changed.
    pub fn apply(&mut self, message: Inbound, now: Timestamp) -> bool {
        match message {
            Inbound::Report(report) => self.apply_report(Arc::new(*report), now),
            Inbound::Presence(answer) | Inbound::Reply(_, QueryReply::Host(answer)) => {
                self.apply_presence(*answer, now)
            }
            Inbound::Reply(_, QueryReply::Job(answer)) => {
                answer.report.is_some_and(|report| self.apply_report(report, now))
            }
            Inbound::Identity(name, identity) => {
                let host = self.hosts.entry(name).or_insert_with_key(Host::unknown);
                host.identity = identity;
                true
            }
            Inbound::Reply(..) | Inbound::Log(_) => false,
        }
    }

    /// Applies a report. A report without an id only shows that its host is alive.
    pub fn apply_report(&mut self, report: Arc<DeployReport>, now: Timestamp) -> bool {
        let report = host_limit::truncate_report(report);
        let Some(host) = self.host_mut(&report.hostname) else { return false };
        let changed = host.apply_report(&report, now);
        let Some(id) = &report.id else { return changed };
        let deployment = match self.deployments.get_mut(id) {
            Some(deployment) => deployment,
            None => {
                self.evict_old();
                self.order.push_back(id.clone());
                self.deployments.entry(id.clone()).or_insert_with(|| Deployment::new(&report, now))
            }
        };
        deployment.apply(report, now) || changed
    }

    /// Applies a presence message.
    pub fn apply_presence(&mut self, mut answer: Presence, now: Timestamp) -> bool {
        let change = answer.last_change.take().filter(|change| change.hostname == answer.hostname);
        let mut changed = answer.job.take().is_some_and(|job| self.apply_report(job, now));
        host_limit::truncate_presence(&mut answer);
        let Some(host) = self.host_mut(&answer.hostname) else { return false };
        if let Some(change) = change {
            changed |= host.apply_change(&host_limit::truncate_report(change));
        }
        changed |= host.apply_presence(answer, now);
        changed
    }

    /// Restores a host from an earlier session, unless it has already been seen in this one.
    pub fn restore_host(&mut self, host: Host) {
        self.limit.known += 1;
        self.hosts.entry(host.name.clone()).or_insert(host);
    }

    /// Excludes a time in which this operator could not receive messages from the silence of hosts, jobs and builds.
    pub fn excuse_outage(&mut self, since: Timestamp, until: Timestamp) {
        self.hosts.values_mut().for_each(|host| host.excuse_outage(since, until));
        let lost = until.duration_since(since);
        for job in self.deployments.values_mut().flat_map(|known| known.hosts.values_mut()).flatten() {
            job.last_seen = job.last_seen.checked_add(lost).unwrap_or(until).min(until);
        }
        for build in &mut self.builds {
            build.last_seen = build.last_seen.checked_add(lost).unwrap_or(until).min(until);
        }
    }

    /// Sets the number of known hosts, which raises the limit on unknown ones.
    pub fn expect_hosts(&mut self, known: usize) {
        self.limit.known = self.limit.known.max(known);
    }

    /// Returns the host with this name; `None` if the limit is reached.
    fn host_mut(&mut self, name: &Name) -> Option<&mut Host> {
        if !self.hosts.contains_key(name) && !self.limit.allows(self.hosts.len()) {
            self.ignored += 1;
            return None;
        }
        Some(self.hosts.entry(name.clone()).or_insert_with_key(Host::unknown))
    }

    /// The hosts, sorted by name.
    pub fn hosts_by_name(&self) -> Vec<&Host> {
        let mut hosts: Vec<_> = self.hosts.values().collect();
        hosts.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        hosts
    }

    /// Evicts deployments to make space for one more: the oldest finished one, or else the oldest.
    fn evict_old(&mut self) {
        while self.order.len() >= MAX_DEPLOYMENTS {
            let ended = |id: &Id| self.deployments.get(id).is_none_or(Deployment::is_finished);
            let oldest = || (self.order.len() >= MAX_OPEN_DEPLOYMENTS).then_some(0);
            let Some(at) = self.order.iter().position(ended).or_else(oldest) else { return };
            if let Some(id) = self.order.remove(at) {
                self.deployments.remove(&id);
            }
        }
    }

    /// Applies a build report; returns whether anything changed. A final report is never replaced. Otherwise the report
    /// with the higher `seq` is kept.
    pub fn apply_build(&mut self, id: &Id, report: Arc<BuildReport>, now: Timestamp) -> bool {
        let Some(at) = self.builds.iter().position(|build| build.id == *id) else {
            if self.builds.len() >= MAX_BUILDS {
                let ended = self.builds.iter().position(FleetBuild::is_finished).unwrap_or(0);
                self.builds.remove(ended);
            }
            self.builds.push_back(FleetBuild { id: id.clone(), report, first_seen: now, last_seen: now });
            return true;
        };
        let build = &mut self.builds[at];
        build.last_seen = now;
        let newer = match (build.report.seq, report.seq) {
            (Some(before), Some(after)) => after > before,
            _ => *build.report != *report,
        };
        let changed = !build.is_finished() && (newer || report.status.is_final());
        if changed {
            build.report = report;
        }
        changed
    }

    /// The build with this id.
    pub fn build(&self, id: &Id) -> Option<&FleetBuild> {
        self.builds.iter().find(|build| build.id == *id)
    }

    /// The flake URLs whose heads show which hosts are outdated: known flakes of hosts that report their commit.
    pub fn flakes(&self) -> BTreeSet<String> {
        let known = |answer| match self.known_flakes.trust_of(answer) {
            FlakeTrust::Known(flake) => Some(flake.to_owned()),
            _ => None,
        };
        self.with_commit().filter_map(known).collect_set()
    }

    /// Why the heads of the other hosts' flakes are not looked up, by host.
    pub fn flake_errors(&self) -> BTreeMap<&Name, FlakeError> {
        let error = |answer| match self.known_flakes.trust_of(answer) {
            FlakeTrust::New(named) => {
                Some(FlakeError::New { host: answer.hostname.clone(), named: printable_flake(named) })
            }
            FlakeTrust::Refused(error) => Some(error),
            FlakeTrust::Known(_) | FlakeTrust::Unnamed => None,
        };
        self.with_commit().filter_map(|answer| Some((&answer.hostname, error(answer)?))).collect_map()
    }

    fn with_commit(&self) -> impl Iterator<Item = &Presence> {
        let hosts = self.hosts.values().filter(|host| host.commit().is_some());
        hosts.filter_map(|host: &Host| host.answer.as_deref())
    }
}
