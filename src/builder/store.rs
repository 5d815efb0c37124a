//! The builder's state directory: a record per job, and the GC roots of what was built.

use super::config::ROOTS;
use super::record::BuildRecord;
use crate::atomic_file;
use crate::git::CommitPolicy;
use crate::nix::remove_root;
use crate::protocol::{Id, Name};
use crate::state_dir::{Sequence, StateDir, StoreError};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Name of the directory for bare clones of the repositories, inside the state directory.
const COMMITS: &str = "commits";

/// The records of a builder.
#[derive(Debug)]
pub(super) struct BuildStore {
    pub(super) dir: Arc<StateDir>,
}

impl BuildStore {
    /// Opens the state directory. Returns all records, oldest first. Damaged records are quarantined.
    pub(super) fn open(path: &Path) -> Result<(Self, Vec<BuildRecord>), StoreError> {
        let mut dir = StateDir::open(path, "builds", "; nothing can be built until this is fixed")?;
        let is_record = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "json");
        let files = dir.record_files(|path| Some(path).filter(is_record))?;
        let parse = |bytes: &[u8]| serde_json::from_slice(bytes);
        let read = |file: &PathBuf| dir.read_record("build", file, parse);
        let mut records: Vec<BuildRecord> = files.iter().filter_map(read).collect();
        records.sort_unstable_by_key(|record| record.accepted_at);
        let newest = records.iter().filter_map(|record| record.report.seq).max();
        dir.start_after(newest.map_or(0, Sequence::starts_of));
        Ok((Self { dir: Arc::new(dir) }, records))
    }

    /// Directory with the GC root of each host of a repository. Names are tokens, so they are safe as file names.
    pub(super) fn roots(&self, repo: &Name) -> PathBuf {
        self.dir.path().join(ROOTS).join(repo.as_str())
    }

    /// Which commits of a repository may be built: those on a branch or a tag.
    pub(super) fn commit_policy(&self, repo: &Name) -> CommitPolicy {
        let cache = self.dir.path().join(COMMITS).join(repo.as_str());
        CommitPolicy { cache, allowed_branches: Vec::new(), signers: None }
    }

    /// Writes a record durably.
    pub(super) fn save(&self, record: &BuildRecord) -> Result<(), StoreError> {
        let json = serde_json::to_vec_pretty(record)
            .map_err(|source| StoreError::Encode { id: record.id.to_string(), source })?;
        Ok(atomic_file::write(&self.file(&record.id), &json)?)
    }

    /// The record of a recently accepted job.
    pub(super) fn record(&self, id: &Id) -> Option<BuildRecord> {
        serde_json::from_slice(&atomic_file::read(&self.file(id)).ok()?).ok()
    }

    /// Removes expired records.
    pub(super) fn sweep(&self, now: Timestamp) {
        let files = fs::read_dir(self.dir.records()).into_iter().flatten().flatten();
        let ids =
            files.filter_map(|file| file.file_name().to_str()?.strip_suffix(".json")?.parse::<Id>().ok());
        for id in
            ids.filter(|id| self.record(id).is_some_and(|record| record.is_final() && record.is_expired(now)))
        {
            if let Err(error) = atomic_file::remove(&self.file(&id)) {
                tracing::warn!(%id, %error, "failed to remove old build record");
            }
        }
    }

    /// Removes the GC roots of hosts that a repository no longer has.
    pub(super) fn remove_other_roots(&self, repo: &Name, hosts: &BTreeSet<Name>) {
        let dir = self.roots(repo);
        let links = fs::read_dir(&dir).into_iter().flatten().flatten();
        for name in links.filter_map(|link| link.file_name().into_string().ok()) {
            if !hosts.contains(name.as_str())
                && let Err(error) = remove_root(&dir.join(&name))
            {
                tracing::warn!(%repo, host = name, %error, "failed to remove the GC root of a removed host");
            }
        }
    }

    fn file(&self, id: &Id) -> PathBuf {
        self.dir.records().join(format!("{id}.json"))
    }
}
