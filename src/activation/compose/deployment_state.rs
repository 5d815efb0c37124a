//! What a job needs to resume or to roll back, saved in its directory before the first change.

use super::service_configs::DeployedConfig;
use crate::activation::JobFailure;
use crate::atomic_file::{self, WriteError};
use crate::compose::Container;
use crate::jobs::{BranchCommit, JobDir};
use crate::ordered::CollectOrdered;
use crate::protocol::ErrorCode;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The file in the job's directory.
const FILE: &str = "compose.json";

/// The state of a deployment with Docker Compose.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct DeploymentState {
    /// The commit of the work tree before the job, if there was one.
    pub(super) old_commit: Option<String>,
    /// The commit to deploy.
    pub(super) commit: String,
    /// The branch and commit, if the commit is on a branch.
    pub(super) origin: Option<BranchCommit>,
    /// The generation that is deployed again, for a rollback.
    pub(super) generation: Option<u64>,
    /// All services of the host, also those that this job is not about.
    pub(super) assigned: Vec<String>,
    /// Services with containers that the host does not run any more, and that this job leaves alone.
    pub(super) unassigned: Vec<String>,
    /// The services of this job, in the sequence in which they are deployed.
    pub(super) services: Vec<ServiceDeployment>,
    /// The tags that this job has moved by a pull, with the image that each had before.
    pub(super) moved_tags: BTreeMap<String, String>,
    /// Whether a failure leaves everything as it is.
    pub(super) no_rollback: bool,
    /// Why the job failed; it then rolls back.
    pub(super) failure: Option<StoredFailure>,
    /// Whether the rollback has ended.
    pub(super) rolled_back: bool,
    /// Notes for the report.
    pub(super) notes: Vec<String>,
}

/// The state of one service.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a separate fact")]
pub(super) struct ServiceDeployment {
    /// The name of the service and of its project.
    pub(super) name: String,
    /// How long it may take to become healthy, in seconds.
    pub(super) timeout_s: u64,
    /// The containers before the job.
    pub(super) old: Vec<PreviousContainer>,
    /// The services of the Compose file that were stopped by hand.
    pub(super) stopped_by_hand: Vec<String>,
    /// Whether all containers ran and were healthy before the job.
    pub(super) was_well: bool,
    /// The git objects of mounted files that its containers were created with, by path in the repository.
    pub(super) mounted: BTreeMap<String, String>,
    /// The configuration that it is deployed with.
    #[serde(default)]
    pub(super) config: Option<DeployedConfig>,
    /// The images to use, for a rollback to an earlier generation.
    pub(super) images: BTreeMap<String, String>,
    /// Whether the service is removed, because the host does not run it any more.
    pub(super) removed: bool,
    /// Whether the job has started to change it.
    pub(super) touched: bool,
    /// How its deployment ended.
    pub(super) done: Option<ServiceOutcome>,
    /// Whether an earlier job, which this one continues, has deployed it.
    #[serde(default)]
    pub(super) was_done: bool,
    /// Whether the rollback has restored it.
    pub(super) restored: bool,
}

/// How the deployment of a service ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ServiceOutcome {
    /// Its containers were changed.
    Changed,
    /// It was as requested, and was not touched.
    Unchanged,
    /// Its containers were changed, or not, and stay stopped.
    Stopped,
    /// Its containers were removed.
    Removed,
}

/// A container before the job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PreviousContainer {
    /// The id.
    pub(super) id: String,
    /// The service of the Compose file.
    pub(super) service: String,
    /// The id of its image.
    pub(super) image: String,
    /// Whether it ran.
    pub(super) running: bool,
    /// The hash of its configuration.
    pub(super) config_hash: Option<String>,
}

/// A failure on disk.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct StoredFailure {
    /// The error code.
    pub(super) code: ErrorCode,
    /// The message.
    pub(super) message: String,
}

impl PreviousContainer {
    pub(super) fn of(container: &Container) -> Self {
        Self {
            id: container.id.clone(),
            service: container.service.clone(),
            image: container.image.clone(),
            running: container.is_running(),
            config_hash: container.config_hash.clone(),
        }
    }
}

impl ServiceDeployment {
    /// Whether containers existed before the job.
    pub(super) fn existed(&self) -> bool {
        !self.old.is_empty()
    }

    /// Whether the service was stopped by hand as a whole.
    pub(super) fn is_stopped_by_hand(&self) -> bool {
        self.existed() && self.old.iter().all(|old| self.stopped_by_hand.contains(&old.service))
    }

    /// The image of each service of the Compose file before the job.
    pub(super) fn old_images(&self) -> BTreeMap<String, String> {
        self.old.iter().map(|old| (old.service.clone(), old.image.clone())).collect_map()
    }
}

impl DeploymentState {
    fn path(dir: &JobDir) -> PathBuf {
        dir.path().join(FILE)
    }

    /// Reads the state of a job; `None` if the job has not saved one.
    pub(super) fn read(dir: &JobDir) -> Option<Self> {
        serde_json::from_slice(&atomic_file::read(&Self::path(dir)).ok()?).ok()
    }

    /// Saves the state durably.
    pub(super) fn save(&self, dir: &JobDir) -> Result<(), WriteError> {
        // Our own plain struct always has a JSON form.
        atomic_file::write(&Self::path(dir), &serde_json::to_vec_pretty(self).unwrap_or_default())
    }

    /// Records why the job failed.
    pub(super) fn set_failure(&mut self, failure: &JobFailure) {
        self.failure = Some(StoredFailure { code: failure.code.clone(), message: failure.message.clone() });
    }
}
