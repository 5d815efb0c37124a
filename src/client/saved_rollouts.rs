//! The states of the rollouts that this machine runs, one file for each. If a process dies, its rollout can be continued.
//!
//! The process that sends the batches holds the lock of the file, so that at most one continues a rollout.

use super::{DeployError, DeploymentFollower, Operator, RolloutHandover};
use crate::atomic_file::{self, WriteError};
use crate::private_file;
use crate::protocol::{Id, RolloutCommand, RolloutStatus};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use tokio::task::spawn_blocking;

/// How long an interrupted rollout is kept, as long as a rollout may take.
const MAX_AGE: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Why a rollout cannot be continued.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// This machine has no state of it.
    #[error("this machine has no state of the rollout {0}: continue it on the machine that ran it")]
    NotSaved(Id),
    /// Another process runs it.
    #[error("another process continues the rollout {0}")]
    Running(Id),
    /// Its state cannot be read.
    #[error("failed to read the state of the rollout {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// It cannot be followed.
    #[error(transparent)]
    Deploy(#[from] DeployError),
}

/// The content of a file.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SavedRollout {
    /// The last status, with all hosts.
    pub(super) status: RolloutStatus,
    /// What another process needs to continue.
    pub(super) state: RolloutHandover,
}

/// The file of one rollout, and its lock while this process sends the batches.
#[derive(Debug)]
pub(super) struct RolloutFile {
    path: PathBuf,
    lock: Option<File>,
}

impl RolloutFile {
    pub(super) fn new(directory: &Path, id: &Id) -> Self {
        Self { path: directory.join(format!("{id}.json")), lock: None }
    }

    /// Takes the lock, unless another process has it. Returns whether this process has it now. Waits for a moment, because
    /// another process may only be testing the lock. Blocks.
    fn lock(&mut self) -> io::Result<bool> {
        if self.lock.is_none() {
            if let Some(directory) = self.path.parent() {
                private_file::create_dir(directory)?;
            }
            self.lock = private_file::lock_with_retry(&self.lock_path())?;
        }
        Ok(self.lock.is_some())
    }

    /// Saves an open rollout, and removes the file of one that has ended. After a hand-over, the other process may still
    /// have the lock for a moment.
    pub(super) fn save(&mut self, saved: &SavedRollout) -> Result<(), WriteError> {
        let has_lock = self.lock().map_err(|source| WriteError { path: self.path.clone(), source })?;
        if saved.status.state.is_open() {
            return atomic_file::write_with(&self.path, |out| Ok(serde_json::to_writer(out, saved)?));
        }
        if has_lock { self.remove() } else { Ok(()) }
    }

    fn read(&self) -> io::Result<SavedRollout> {
        Ok(serde_json::from_slice(&fs::read(&self.path)?)?)
    }

    fn remove(&mut self) -> Result<(), WriteError> {
        atomic_file::remove(&self.path)?;
        // While it is locked, no other process uses it.
        atomic_file::remove(&self.lock_path())?;
        self.lock = None;
        Ok(())
    }

    fn lock_path(&self) -> PathBuf {
        self.path.with_extension("lock")
    }
}

/// The rollouts in this directory whose process has died while batches were not sent. Removes files that are too old or
/// damaged. Blocks.
pub fn interrupted_rollouts(directory: &Path, now: Timestamp) -> Vec<RolloutStatus> {
    let files = fs::read_dir(directory).into_iter().flatten().flatten();
    let paths =
        files.map(|file| file.path()).filter(|path| path.extension().is_some_and(|end| end == "json"));
    let interrupted = paths.filter_map(|path| {
        let mut file = RolloutFile { path, lock: None };
        file.lock = private_file::lock(&file.lock_path()).ok().flatten();
        file.lock.as_ref()?;
        let saved = file.read().ok().filter(|saved| now.duration_since(saved.status.started_at) < MAX_AGE);
        if saved.is_none() {
            let _ = file.remove();
        }
        saved.map(|saved| saved.status)
    });
    let mut interrupted: Vec<_> = interrupted.collect();
    interrupted.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    interrupted
}

/// Removes the state of an interrupted rollout, so that it is not shown again. Blocks.
pub fn discard_rollout(directory: &Path, id: &Id) -> Result<(), WriteError> {
    let mut file = RolloutFile::new(directory, id);
    if file.path.exists() && file.lock().unwrap_or(false) { file.remove() } else { Ok(()) }
}

impl DeploymentFollower {
    /// Continues an interrupted rollout of this machine, also after a pause or past the limit that stopped it.
    pub async fn resume_interrupted(operator: &Operator, id: &Id) -> Result<Self, ResumeError> {
        let directory = operator.rollouts.as_ref().ok_or_else(|| ResumeError::NotSaved(id.clone()))?;
        let mut file = RolloutFile::new(directory, id);
        if !file.path.exists() {
            return Err(ResumeError::NotSaved(id.clone()));
        }
        let path = file.path.clone();
        let read = move || {
            let saved = file.lock()?.then(|| file.read()).transpose()?;
            Ok(saved.map(|saved| (file, saved)))
        };
        let read = spawn_blocking(read).await.unwrap_or_else(|error| Err(io::Error::other(error)));
        let read = read.map_err(|source| ResumeError::Read { path, source })?;
        let Some((file, SavedRollout { mut state, status })) = read else {
            return Err(ResumeError::Running(id.clone()));
        };
        if state.plan.rollout.is_held() {
            // The operator continues it with full knowledge of the pause or the limit.
            let failed = usize::try_from(status.failed).unwrap_or(usize::MAX);
            let _ = state.plan.rollout.apply(&RolloutCommand::Continue, &operator.issuer, failed);
        }
        let mut follow = Self::resume(operator, state).await?;
        follow.take_file(file);
        Ok(follow)
    }
}
