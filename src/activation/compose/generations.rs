//! The generations of a host: what was deployed, and with which images.

use super::deployment_state::{DeploymentState, ServiceOutcome};
use super::service_configs::DeployedConfig;
use crate::atomic_file::{self, WriteError};
use crate::clock::now;
use crate::ordered::CollectOrdered;
use crate::protocol::Id;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// How many generations are kept.
const KEPT: usize = 5;

/// The kept generations, oldest first, and what is known about each service between jobs.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Generations {
    current: Option<u64>,
    kept: Vec<ComposeGeneration>,
    /// The services of the host.
    pub(super) components: Vec<String>,
    /// Services that the host does not run any more and that still have containers.
    pub(super) unassigned: Vec<String>,
    /// The services of the Compose file that were stopped by hand at the last deployment, by service.
    pub(super) stopped: BTreeMap<String, Vec<String>>,
    /// The git objects of the mounted files that the containers of each service were created with.
    pub(super) mounted: BTreeMap<String, BTreeMap<String, String>>,
    /// The configuration that each service was deployed with.
    pub(super) configs: BTreeMap<String, DeployedConfig>,
}

/// A numbered deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ComposeGeneration {
    /// The number, from 1.
    pub(super) number: u64,
    /// The commit.
    pub(super) commit: String,
    /// The job that deployed it.
    pub(super) job: Id,
    /// When it was deployed.
    pub(super) at: Timestamp,
    /// The image ids of each service, by service of the Compose file.
    pub(super) services: BTreeMap<String, BTreeMap<String, String>>,
}

impl Generations {
    fn path(state_dir: &Path) -> PathBuf {
        state_dir.join("generations.json")
    }

    /// Reads the generations; none if there is no file.
    pub(super) fn read(state_dir: &Path) -> Self {
        let Ok(bytes) = atomic_file::read(&Self::path(state_dir)) else { return Self::default() };
        serde_json::from_slice(&bytes).unwrap_or_else(|error| {
            tracing::warn!(%error, "failed to read the generations of Docker Compose");
            Self::default()
        })
    }

    /// Writes the generations durably.
    pub(super) fn save(&self, state_dir: &Path) -> Result<(), WriteError> {
        let failed = |source| WriteError { path: state_dir.to_owned(), source };
        crate::private_file::create_dir(state_dir).map_err(failed)?;
        // Our own plain struct always has a JSON form.
        atomic_file::write(&Self::path(state_dir), &serde_json::to_vec_pretty(self).unwrap_or_default())
    }

    /// The current generation.
    pub(super) fn current(&self) -> Option<&ComposeGeneration> {
        let current = self.current?;
        self.kept.iter().find(|generation| generation.number == current)
    }

    /// The generation with this number, or without one the one before the current.
    pub(super) fn earlier(&self, number: Option<u64>) -> Result<&ComposeGeneration, String> {
        let found = match number {
            Some(number) => self.kept.iter().find(|generation| generation.number == number),
            None => self
                .kept
                .iter()
                .rev()
                .find(|generation| self.current.is_some_and(|current| generation.number < current)),
        };
        let kept: Vec<_> = self.kept.iter().map(|generation| generation.number.to_string()).collect();
        let kept = if kept.is_empty() { "none".to_owned() } else { kept.join(", ") };
        found.ok_or_else(|| match number {
            Some(number) => format!("generation {number} does not exist; the host has {kept}"),
            None => format!("the host has no earlier generation than the current one; it has {kept}"),
        })
    }

    /// Whether a kept generation has this commit.
    pub(super) fn has_commit(&self, commit: &str) -> bool {
        self.kept.iter().any(|generation| generation.commit == commit)
    }

    /// Makes a deployment the current generation: the one that it deployed again, or a new one. A deployment that changed nothing
    /// stays the current one, so that it displaces no earlier one. Returns the images that no kept generation names any more.
    pub(super) fn push(
        &mut self,
        state: &DeploymentState,
        job: &Id,
        services: BTreeMap<String, BTreeMap<String, String>>,
    ) -> BTreeSet<String> {
        let before = self.images();
        self.components.clone_from(&state.assigned);
        self.unassigned.clone_from(&state.unassigned);
        for service in &state.services {
            self.stopped.insert(service.name.clone(), service.stopped_by_hand.clone());
        }
        self.stopped.retain(|name, stopped| state.assigned.contains(name) && !stopped.is_empty());
        match self.kept.iter_mut().find(|generation| state.generation == Some(generation.number)) {
            Some(again) => {
                (again.services, again.at, again.job) = (services, now(), job.clone());
                self.current = Some(again.number);
            }
            None => {
                // A resumed job may have written its generation already.
                if let Some(known) = self.kept.iter_mut().find(|generation| generation.job == *job) {
                    known.services = services;
                    self.current = Some(known.number);
                } else if let Some(same) = self.unchanged(state, &services) {
                    (same.commit, same.job) = (state.commit.clone(), job.clone());
                } else {
                    let number = self.kept.iter().map(|generation| generation.number).max().unwrap_or(0) + 1;
                    let commit = state.commit.clone();
                    let new = ComposeGeneration { number, commit, job: job.clone(), at: now(), services };
                    self.kept.push(new);
                    self.current = Some(number);
                }
            }
        }
        let excess = self.kept.len().saturating_sub(KEPT);
        let current = self.current;
        for _ in 0..excess {
            if let Some(at) = self.kept.iter().position(|generation| Some(generation.number) != current) {
                self.kept.remove(at);
            }
        }
        before.difference(&self.images()).cloned().collect_set()
    }

    /// The current generation, if a job has changed none of its services.
    fn unchanged(
        &mut self,
        state: &DeploymentState,
        services: &BTreeMap<String, BTreeMap<String, String>>,
    ) -> Option<&mut ComposeGeneration> {
        let is_same = |outcome| matches!(outcome, Some(ServiceOutcome::Unchanged | ServiceOutcome::Stopped));
        let current = self.current.filter(|_| state.services.iter().all(|service| is_same(service.done)))?;
        let known = self.kept.iter_mut().find(|generation| generation.number == current)?;
        (known.services == *services).then_some(known)
    }

    fn images(&self) -> BTreeSet<String> {
        let services = self.kept.iter().flat_map(|generation| generation.services.values());
        services.flat_map(|images| images.values().cloned()).collect_set()
    }
}
