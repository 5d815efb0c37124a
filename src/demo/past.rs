//! The past of the fleet: what was done to each host in the last weeks, as its listener would have kept it.

mod deployments;
mod job;

use super::DemoHost;
use super::commit::COMMITS;
use super::machine::Machine;
use crate::jobs::{History, Store, StoreError};
use crate::protocol::Id;
use deployments::{DEPLOYMENTS, Deployment};
use jiff::{SignedDuration, Timestamp};
use job::Job;
use std::path::Path;

/// How long before the demo the hosts were installed.
const INSTALLED: SignedDuration = SignedDuration::from_hours(45 * 24);

/// How many jobs of the whole fleet are kept with their records and logs, which somebody has to remove in the end.
const KEPT: usize = 1200;

/// The past of a whole fleet.
pub(super) struct Past<'a> {
    now: Timestamp,
    /// How many jobs of each host are kept.
    kept: usize,
    flake: &'a str,
    /// Each deployment has one id on all of its hosts.
    ids: Vec<Id>,
}

impl<'a> Past<'a> {
    /// The past of so many hosts with this flake, as it is now.
    pub(super) fn of(count: usize, flake: &'a str) -> Self {
        let now = Timestamp::now();
        let id = |deployment: &Deployment| {
            let seconds = u64::try_from(deployment.at(now).as_second()).unwrap_or(0);
            let uuid = uuid::Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, 0));
            // A UUID is hexadecimal digits and dashes, and starts with a digit for centuries to come.
            Id::new(uuid.to_string()).unwrap_or_else(|_| unreachable!("a UUID is an id"))
        };
        let kept = (KEPT / count.max(1)).max(2);
        Self { now, kept, flake, ids: DEPLOYMENTS.iter().map(id).collect() }
    }

    /// Lets a host live through it: gives its machine, and leaves records, logs and history in its state directory.
    pub(super) fn live(&self, host: &DemoHost, state: &Path) -> Result<Machine, StoreError> {
        let (store, _) = Store::open(state)?;
        let installed = self.now.checked_sub(INSTALLED).unwrap_or(self.now);
        let mut machine = Machine::installed(host, &COMMITS[0], installed);
        let mut jobs = Vec::new();
        for (deployment, id) in DEPLOYMENTS.iter().zip(&self.ids) {
            if (deployment.whom)(host) {
                let request = deployment.request(id.clone());
                let at = deployment.at(self.now);
                jobs.push(Job::play(request, deployment.cancelled, at, host, self.flake, &mut machine));
            }
        }
        machine.age();
        let entries: Vec<_> = jobs.iter().map(Job::entry).collect();
        History::new(state).append(&entries)?;
        for (number, job) in (1..).zip(jobs).skip(entries.len().saturating_sub(self.kept)) {
            job.keep(&store, number)?;
        }
        Ok(machine)
    }
}
