//! The last deployed commit of each branch, against which a request for an older commit is detected.

use super::{AcceptanceOrder, JobRecord};
use crate::atomic_file::{self, WriteError};
use crate::ordered::CollectOrdered;
use crate::protocol::{Action, Id, Status};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// A commit and the branch that contains it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BranchCommit {
    /// Name of the branch.
    pub branch: String,
    /// Full commit hash.
    pub commit: String,
}

/// The last deployment of one branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct LastDeployment {
    commit: String,
    job: Id,
    /// The position of the job among those of the host.
    order: AcceptanceOrder,
}

/// The last deployment of each branch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployedBranches {
    branches: BTreeMap<String, LastDeployment>,
}

/// The list of deployed commits cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be read: {reason}", path.display())]
pub struct DeployedBranchesError {
    /// The unreadable file.
    path: PathBuf,
    /// The I/O or JSON error.
    reason: String,
}

impl DeployedBranches {
    /// Reads the list from a state directory; empty if there is no file.
    pub fn read(state_dir: &Path) -> Result<Self, DeployedBranchesError> {
        let path = deployed_file(state_dir);
        let reason = match atomic_file::read(&path).map(|bytes| serde_json::from_slice(&bytes)) {
            Ok(Ok(deployed)) => return Ok(deployed),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        Err(DeployedBranchesError { path, reason })
    }

    /// The last commit of each branch.
    pub fn commits(&self) -> BTreeMap<String, String> {
        self.branches.iter().map(|(branch, last)| (branch.clone(), last.commit.clone())).collect_map()
    }

    /// Records the commit of a job that has just ended, durably, if the job deployed one.
    pub fn record_job(state_dir: &Path, record: &JobRecord) -> Result<(), WriteError> {
        Self::update(state_dir, [record], |_, _| true)
    }

    /// Records the commits of past jobs that the listener failed to record when they ended.
    pub fn catch_up(state_dir: &Path, records: &[JobRecord]) -> Result<(), WriteError> {
        Self::update(state_dir, records, |last, record| last.order < record.acceptance_order())
    }

    /// An unreadable file is not replaced, because the new one would lack the other branches, unless one of the requests
    /// allows older commits.
    fn update<'a>(
        state_dir: &Path,
        records: impl IntoIterator<Item = &'a JobRecord>,
        is_newer: impl Fn(&LastDeployment, &JobRecord) -> bool,
    ) -> Result<(), WriteError> {
        let completed: Vec<_> = records.into_iter().filter_map(deployed_commit).collect();
        if completed.is_empty() {
            return Ok(());
        }
        let mut deployed = match Self::read(state_dir) {
            Ok(deployed) => deployed,
            Err(_) if completed.iter().any(|(record, _)| record.request.allow_older == Some(true)) => {
                Self::default()
            }
            Err(error) => {
                tracing::error!(%error, "failed to record the deployed commit");
                return Ok(());
            }
        };
        let before = deployed.clone();
        for (record, BranchCommit { branch, commit }) in completed {
            if deployed.branches.get(branch).is_none_or(|last| is_newer(last, record)) {
                let (job, order) = (record.request.id.clone(), record.acceptance_order());
                let last = LastDeployment { commit: commit.clone(), job, order };
                deployed.branches.insert(branch.clone(), last);
            }
        }
        if deployed == before {
            return Ok(());
        }
        // Our own plain struct always has a JSON form.
        atomic_file::write(
            &deployed_file(state_dir),
            &serde_json::to_vec_pretty(&deployed).unwrap_or_default(),
        )
    }
}

/// The commit that a job deployed, if it completed. Build-only actions deploy nothing.
fn deployed_commit(record: &JobRecord) -> Option<(&JobRecord, &BranchCommit)> {
    let deploys = matches!(record.request.action, Action::Switch | Action::Boot | Action::Test);
    let deployed = record.deployed.as_ref()?;
    (deploys && record.report.status == Status::Completed).then_some((record, deployed))
}

fn deployed_file(state_dir: &Path) -> PathBuf {
    state_dir.join("deployed.json")
}
