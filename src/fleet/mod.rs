//! The fleet as an operator sees it: a pure fold of messages. No clock and no I/O; time comes in with the message.

mod build;
mod deployment;
pub mod estimate;
mod failures;
mod flakes;
mod heads;
mod host;
mod host_limit;
mod natural;
mod standing;
mod tally;
pub mod words;

pub use build::Build;
pub use deployment::{Deployment, HostJob};
pub use failures::{FailureGroup, cause, failure_groups};
pub use flakes::{Flake, FlakeError, KnownFlakes, shown_flake};
pub use heads::{Heads, Lag, Why};
pub use host::{Host, Presence};
pub use natural::natural;
pub use standing::Standing;
pub use tally::Tally;

use host_limit::HostLimit;

use crate::protocol::{Answer, DeployReport, HostAnswer, Id, Inbound, Name};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// How many deployments are remembered.
const KEPT: usize = 200;
/// How many where they do not end: their hosts died, or somebody makes them up.
const KEPT_OPEN: usize = 1000;

/// Every host and deployment that was heard of.
///
/// All times in it are of receipt, by the operator's own clock, but for what began before it was heard of.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Fleet {
    /// The hosts by name.
    pub hosts: HashMap<Name, Host>,
    /// The deployments by id.
    pub deployments: HashMap<Id, Deployment>,
    /// The builds of the builder, in the order in which they were first heard of.
    pub builds: VecDeque<Build>,
    /// What was known of the hosts' flakes before this fleet began.
    #[serde(skip)]
    pub known_flakes: Arc<KnownFlakes>,
    /// The deployments in the order they were first heard of.
    order: VecDeque<Id>,
    #[serde(skip)]
    limit: HostLimit,
    /// Messages of hosts that are not kept, because too many hosts that were not known before have announced themselves.
    #[serde(skip)]
    pub ignored: u64,
}

impl Fleet {
    /// Folds a message that arrived at `now`; gives whether anything is different from before.
    pub fn apply(&mut self, message: Inbound, now: Timestamp) -> bool {
        match message {
            Inbound::Report(report) => self.apply_report(Arc::new(*report), now),
            Inbound::Presence(answer) | Inbound::Answer(_, Answer::Host(answer)) => {
                self.apply_host(*answer, now)
            }
            Inbound::Answer(_, Answer::Job(answer)) => {
                answer.report.is_some_and(|report| self.apply_report(report, now))
            }
            Inbound::Identity(name, identity) => {
                let host = self.hosts.entry(name).or_insert_with_key(Host::unknown);
                host.identity = identity;
                true
            }
            Inbound::Answer(..) | Inbound::Log(_) => false,
        }
    }

    /// Folds a report; one without an id tells only that its host lives.
    pub fn apply_report(&mut self, report: Arc<DeployReport>, now: Timestamp) -> bool {
        let report = host_limit::cut_report(report);
        let Some(host) = self.host_mut(&report.hostname) else { return false };
        let changed = host.apply_report(&report, now);
        let Some(id) = &report.id else { return changed };
        let deployment = match self.deployments.get_mut(id) {
            Some(deployment) => deployment,
            None => {
                self.forget_old();
                self.order.push_back(id.clone());
                self.deployments.entry(id.clone()).or_insert_with(|| Deployment::new(&report, now))
            }
        };
        deployment.apply(report, now) || changed
    }

    /// Folds what a host tells of itself.
    pub fn apply_host(&mut self, mut answer: HostAnswer, now: Timestamp) -> bool {
        if let Some(job) = answer.job.take() {
            self.apply_report(job, now);
        }
        host_limit::cut_answer(&mut answer);
        let Some(host) = self.host_mut(&answer.hostname) else { return false };
        host.apply_answer(answer, now);
        true
    }

    /// Brings back a host that was seen before this fleet began; what is known of it by now stands.
    pub fn recall(&mut self, host: Host) {
        self.limit.known += 1;
        self.hosts.entry(host.name.clone()).or_insert(host);
    }

    /// Expects so many hosts: the more are known, the more unknown ones are kept.
    pub fn expect_hosts(&mut self, known: usize) {
        self.limit.known = self.limit.known.max(known);
    }

    /// The host of this name; `None` if it is not kept.
    fn host_mut(&mut self, name: &Name) -> Option<&mut Host> {
        if !self.hosts.contains_key(name) && !self.limit.allows(self.hosts.len()) {
            self.ignored += 1;
            return None;
        }
        Some(self.hosts.entry(name.clone()).or_insert_with_key(Host::unknown))
    }

    /// The hosts in the order of their names.
    pub fn hosts_by_name(&self) -> Vec<&Host> {
        let mut hosts: Vec<_> = self.hosts.values().collect();
        hosts.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        hosts
    }

    /// Makes room for one more deployment: the oldest that have ended go, else the oldest.
    fn forget_old(&mut self) {
        while self.order.len() >= KEPT {
            let ended = |id: &Id| self.deployments.get(id).is_none_or(Deployment::is_over);
            let oldest = || (self.order.len() >= KEPT_OPEN).then_some(0);
            let Some(at) = self.order.iter().position(ended).or_else(oldest) else { return };
            if let Some(id) = self.order.remove(at) {
                self.deployments.remove(&id);
            }
        }
    }
}
