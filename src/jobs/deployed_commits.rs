//! The commit that was deployed last from each branch, so that no later request goes behind it unnoticed.

use super::{AcceptanceOrder, Record};
use crate::durable::{self, WriteError};
use crate::protocol::{Action, Id, Status};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// A commit, and the branch that it is deployed from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BranchCommit {
    /// The branch.
    pub branch: String,
    /// The commit.
    pub commit: String,
}

/// The last deployment of one branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Last {
    commit: String,
    job: Id,
    /// The place of the job among those of the host.
    order: AcceptanceOrder,
}

/// The last deployment of each branch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployedCommits {
    branches: BTreeMap<String, Last>,
}

/// Why what was deployed is not known.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be read: {reason}", path.display())]
pub struct UnknownDeployed {
    /// The file.
    path: PathBuf,
    /// What is wrong with it.
    reason: String,
}

impl DeployedCommits {
    /// What a state directory says.
    pub fn read(state_dir: &Path) -> Result<Self, UnknownDeployed> {
        let path = file(state_dir);
        let reason = match fs::read(&path).map(|bytes| serde_json::from_slice(&bytes)) {
            Ok(Ok(deployed)) => return Ok(deployed),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        Err(UnknownDeployed { path, reason })
    }

    /// The last commit of each branch.
    pub fn commits(&self) -> BTreeMap<String, String> {
        self.branches.iter().map(|(branch, last)| (branch.clone(), last.commit.clone())).collect()
    }

    /// Notes a job that has just ended, durably, if it has deployed something.
    pub fn note(state_dir: &Path, record: &Record) -> Result<(), WriteError> {
        Self::add(state_dir, [record], |_, _| true)
    }

    /// Notes those of these jobs that a listener could not note when they ended.
    pub fn catch_up(state_dir: &Path, records: &[Record]) -> Result<(), WriteError> {
        Self::add(state_dir, records, |last, record| last.order < record.order())
    }

    /// A file that cannot be read stays, because a new one would say less, unless a request was to deploy whatever was deployed
    /// before.
    fn add<'a>(
        state_dir: &Path,
        records: impl IntoIterator<Item = &'a Record>,
        is_newer: impl Fn(&Last, &Record) -> bool,
    ) -> Result<(), WriteError> {
        let completed: Vec<_> = records.into_iter().filter_map(completed).collect();
        if completed.is_empty() {
            return Ok(());
        }
        let mut deployed = match Self::read(state_dir) {
            Ok(deployed) => deployed,
            Err(_) if completed.iter().any(|(record, _)| record.request.allow_older == Some(true)) => {
                Self::default()
            }
            Err(error) => {
                tracing::error!(%error, "failed to note the deployed commit");
                return Ok(());
            }
        };
        let before = deployed.clone();
        for (record, BranchCommit { branch, commit }) in completed {
            if deployed.branches.get(branch).is_none_or(|last| is_newer(last, record)) {
                let (job, order) = (record.request.id.clone(), record.order());
                let last = Last { commit: commit.clone(), job, order };
                deployed.branches.insert(branch.clone(), last);
            }
        }
        if deployed == before {
            return Ok(());
        }
        // Our own plain struct always has a JSON form.
        durable::write(&file(state_dir), &serde_json::to_vec_pretty(&deployed).unwrap_or_default())
    }
}

/// What a record has deployed, if it has: what only builds leaves the host as it is.
fn completed(record: &Record) -> Option<(&Record, &BranchCommit)> {
    let deploys = matches!(record.request.action, Action::Switch | Action::Boot | Action::Test);
    let deployed = record.deployed.as_ref()?;
    (deploys && record.report.status == Status::Completed).then_some((record, deployed))
}

fn file(state_dir: &Path) -> PathBuf {
    state_dir.join("deployed.json")
}
