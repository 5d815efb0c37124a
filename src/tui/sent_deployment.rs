//! Deployments that this console sent.

use crate::client::{Intent, Plan, StopReason};
use crate::protocol::{Id, Name, REQUEST_LIFETIME};
use jiff::Timestamp;
use std::collections::{BTreeMap, VecDeque};

/// Number of deployments in memory; running ones are never dropped.
const MAX_REMEMBERED: usize = 100;

/// A deployment that this console sent.
#[derive(Debug)]
pub struct SentDeployment {
    /// The plan that was sent.
    pub plan: Plan,
    /// The hosts, sorted by name.
    pub hosts: Vec<Name>,
    /// Batch of each host in `hosts`, from 0.
    batches: Vec<usize>,
    /// When the last batch was sent; before the first batch, when the operator requested the deployment.
    pub sent_at: Timestamp,
    /// Hosts with a wrong clock, which received the request again under this id.
    pub resent: BTreeMap<Name, Id>,
    /// Whether the deployment is still followed.
    pub state: SentDeploymentState,
    /// Why the rollout stopped before its last batch.
    pub stopped: Option<StopReason>,
}

/// State of a sent deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SentDeploymentState {
    /// Reports are expected.
    Active,
    /// All hosts have a result or timed out.
    Finished,
    /// Another process has taken the rollout over.
    HandedOver,
    /// The deployment was not sent or can no longer be followed, for this reason.
    Failed(String),
}

impl SentDeployment {
    pub(super) fn new(mut plan: Plan, sent_at: Timestamp) -> Self {
        let hosts: Vec<_> = plan.hosts().into_keys().cloned().collect();
        let mut batches = vec![0; hosts.len()];
        for (at, batch) in plan.rollout.batches().iter().enumerate() {
            for host in plan.hosts_of(batch) {
                hosts.binary_search(&host).into_iter().for_each(|host| batches[host] = at);
            }
        }
        if plan.rollout.batches().len() < 2 {
            // A single batch is sent without an event.
            plan.rollout.start_next_batch();
        }
        let (resent, state, stopped) = (BTreeMap::new(), SentDeploymentState::Active, None);
        Self { plan, hosts, batches, sent_at, resent, state, stopped }
    }

    /// Action, revision and hosts: `switch main on 3 hosts`.
    pub(super) fn title(&self) -> String {
        let Intent { action, revision, generation, .. } = &self.plan.intent;
        let revision = revision.as_ref().map(|revision| format!(" {revision}")).unwrap_or_default();
        let generation =
            generation.map(|generation| format!(" to generation {generation}")).unwrap_or_default();
        match &self.hosts[..] {
            [host] => format!("{action}{revision}{generation} on {host}"),
            hosts => format!("{action}{revision}{generation} on {} hosts", hosts.len()),
        }
    }

    /// Number of the host's batch, from 1, if that was not sent yet.
    pub fn pending_batch(&self, host: &Name) -> Option<usize> {
        let batch = self.batches[self.hosts.binary_search(host).ok()?];
        (batch >= self.plan.rollout.sent_batches()).then_some(batch + 1)
    }

    /// Batch of a host, from 0.
    pub fn batch_of(&self, host: &Name) -> Option<usize> {
        Some(self.batches[self.hosts.binary_search(host).ok()?])
    }

    /// Whether more batches will be sent.
    pub fn has_unsent_batches(&self) -> bool {
        self.state == SentDeploymentState::Active
            && self.plan.rollout.sent_batches() < self.plan.rollout.batches().len()
    }

    /// Number of the last sent batch and of all batches, if there are several.
    pub fn batch(&self) -> Option<(usize, usize)> {
        let (sent, batches) = (self.plan.rollout.sent_batches(), self.plan.rollout.batches().len());
        (batches > 1).then_some((sent, batches))
    }

    /// Records that this many batches were sent, the last one now.
    pub(super) fn record_batches_sent(&mut self, batches: usize, now: Timestamp) {
        while self.plan.rollout.sent_batches() < batches {
            self.plan.rollout.start_next_batch();
        }
        self.sent_at = now;
    }

    /// Whether a host without an answer can still answer.
    pub fn may_start(&self, now: Timestamp) -> bool {
        self.state == SentDeploymentState::Active && now.duration_since(self.sent_at) <= REQUEST_LIFETIME
    }

    /// Whether this is the deployment's id, or the id of a part that was sent again.
    pub fn is(&self, id: &Id) -> bool {
        self.plan.id == *id || self.resent.values().any(|resent| resent == id)
    }
}

/// Stores a deployment. If there are too many, the oldest finished one is dropped.
pub(super) fn record(deployments: &mut VecDeque<SentDeployment>, deployment: SentDeployment) {
    if deployments.len() >= MAX_REMEMBERED
        && let Some(at) =
            deployments.iter().position(|deployment| deployment.state != SentDeploymentState::Active)
    {
        deployments.remove(at);
    }
    deployments.push_back(deployment);
}
