//! The job store: one directory per job, locked by one listener.

use super::{JobDir, JobRecord};
use crate::atomic_file::{self, WriteError};
use crate::private_file;
use crate::protocol::Id;
use crate::state_dir::{StateDir, StoreError};
use jiff::{SignedDuration, Timestamp};
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// File that marks the result of a job as delivered.
const DELIVERED: &str = "delivered.json";

/// The jobs of one host.
#[derive(Debug)]
pub struct JobStore {
    /// The state directory.
    pub dir: Arc<StateDir>,
}

impl JobStore {
    /// Opens the state directory, takes its lock and counts the start. Returns all jobs in it, oldest first; a damaged
    /// record is quarantined. If the directory is not writable, the store opens anyway so that the host stays visible:
    /// see [`StateDir::warnings`].
    pub fn open(path: &Path) -> Result<(Self, Vec<JobRecord>), StoreError> {
        let mut dir = StateDir::open(path, "jobs", "; no job can run here until that is fixed")?;
        let mut records = Vec::new();
        for file in dir.record_files(|job| Some(job.join("state.json")))? {
            // A directory without a record belongs to a job whose start was not recorded.
            let is_recorded = file.exists();
            match dir.read_record("job", &file, JobRecord::parse) {
                Some(record) => records.push(record),
                // The mark refers to a result that is lost with the record.
                None if is_recorded && !file.exists() => {
                    let _ = fs::remove_file(file.with_file_name(DELIVERED));
                }
                None => {}
            }
        }
        records.sort_unstable_by_key(JobRecord::acceptance_order);
        dir.start_after(records.last().map_or(0, |newest| newest.starts));
        Ok((Self { dir: Arc::new(dir) }, records))
    }

    /// Directory of a job, which need not exist.
    pub fn job(&self, id: &Id) -> JobDir {
        JobDir::new(self.dir.path(), id)
    }

    /// Writes a record durably.
    pub fn save(&self, record: &JobRecord) -> Result<(), StoreError> {
        self.job(&record.request.id).save(record)
    }

    /// Quarantines the record of a job, so that no later start resumes it. A missing record is not an error.
    pub fn quarantine(&self, id: &Id) -> io::Result<()> {
        match atomic_file::quarantine(&self.job(id).record_file()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Marks the result of a job as delivered. The file is not synced: if a crash loses it, the result is sent again,
    /// which is harmless.
    pub fn mark_delivered(&self, id: &Id, now: Timestamp) -> Result<(), StoreError> {
        let (path, json) = (self.job(id).path().join(DELIVERED), format!("{{\"delivered_at\":\"{now}\"}}\n"));
        Ok(private_file::write(&path, json.as_bytes()).map_err(|source| WriteError { path, source })?)
    }

    /// Whether the result of a job is marked as delivered.
    pub(super) fn is_delivered(&self, id: &Id) -> bool {
        self.job(id).path().join(DELIVERED).exists()
    }

    /// Removes the garbage collector roots of a job. Returns whether none is left.
    pub(super) fn drop_roots(&self, id: &Id) -> bool {
        let mut removed = true;
        for root in self.job(id).roots() {
            match fs::remove_file(&root) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(%id, %error, "failed to remove a garbage collector root of an old job");
                    removed = false;
                }
                _ => {}
            }
        }
        removed
    }

    /// Removes the directory of a job.
    pub fn remove(&self, id: &Id) {
        if let Err(error) = fs::remove_dir_all(self.job(id).path()) {
            tracing::warn!(%id, %error, "failed to remove the directory of a job");
        }
    }

    /// Removes the directories of jobs whose results were delivered longer than `age` ago, except those for which
    /// `is_cached` returns true.
    pub(super) fn sweep(&self, age: SignedDuration, now: Timestamp, is_cached: impl Fn(&Id) -> bool) {
        let entries = fs::read_dir(self.dir.records()).into_iter().flatten().flatten();
        let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<Id>().ok());
        for id in ids.filter(|id| !is_cached(id)) {
            let delivered =
                fs::metadata(self.job(&id).path().join(DELIVERED)).and_then(|note| note.modified());
            let delivered_at = delivered.ok().and_then(|at| Timestamp::try_from(at).ok());
            if delivered_at.is_some_and(|at| now.duration_since(at) > age) {
                self.remove(&id);
            }
        }
    }
}
