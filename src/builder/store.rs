//! The builder's state directory: a record for each order, and the roots of what was built.

use super::config::ROOTS;
use super::record::Record;
use crate::durable;
use crate::jobs::{Identity, StateDir, StoreError};
use crate::nix::{CommitPolicy, drop_root};
use crate::protocol::{Id, Name};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// The directory of the commits of repositories, without their files, in the state directory.
const COMMITS: &str = "commits";

/// The records of a builder.
#[derive(Debug)]
pub(super) struct Store {
    dir: StateDir,
}

impl Store {
    /// Opens the state directory. Gives every record, oldest first, and what is wrong with the directory in sentences; a damaged
    /// record is put aside.
    pub(super) fn open(path: &Path) -> Result<(Self, Vec<Record>, Vec<String>), StoreError> {
        let (dir, unwritten) = StateDir::open(path, "builds")?;
        let store = Self { dir };
        let mut warnings: Vec<_> = unwritten
            .map(|error| format!("{error}; nothing can be built here until that is mended"))
            .into_iter()
            .collect();
        let mut records = store
            .read_all(&mut warnings)
            .map_err(|source| StoreError::Folder { path: path.to_owned(), source })?;
        records.sort_by_key(|record| record.accepted_at);
        Ok((store, records, warnings))
    }

    pub(super) fn identity(&self) -> &Identity {
        self.dir.identity()
    }

    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(super) fn check_writable(&self) -> Result<(), StoreError> {
        self.dir.check_writable()
    }

    /// Where the roots of a repository lie, one for each host. Names are tokens, so they are safe names of files.
    pub(super) fn roots(&self, repo: &Name) -> PathBuf {
        self.dir.path().join(ROOTS).join(repo.as_str())
    }

    /// Which commits of a repository are built: those on a branch or a tag.
    pub(super) fn commits(&self, repo: &Name) -> CommitPolicy {
        let cache = self.dir.path().join(COMMITS).join(repo.as_str());
        CommitPolicy { cache, allowed_branches: Vec::new(), signers: None }
    }

    /// Writes a record durably.
    pub(super) fn save(&self, record: &Record) -> Result<(), StoreError> {
        let json = serde_json::to_vec_pretty(record)
            .map_err(|source| StoreError::Encode { id: record.id.clone(), source })?;
        Ok(durable::write(&self.file(&record.id), &json)?)
    }

    /// The record of an order that was accepted not long ago.
    pub(super) fn record(&self, id: &Id) -> Option<Record> {
        serde_json::from_slice(&fs::read(self.file(id)).ok()?).ok()
    }

    /// Removes the records that are past.
    pub(super) fn sweep(&self, now: Timestamp) {
        let files = fs::read_dir(self.dir.records()).into_iter().flatten().flatten();
        let ids =
            files.filter_map(|file| file.file_name().to_str()?.strip_suffix(".json")?.parse::<Id>().ok());
        for id in
            ids.filter(|id| self.record(id).is_some_and(|record| record.is_final() && record.is_past(now)))
        {
            if let Err(error) = durable::remove(&self.file(&id)) {
                tracing::warn!(%id, %error, "could not remove the record of an old build");
            }
        }
    }

    /// Gives up the roots of hosts that a repository does not have any more.
    pub(super) fn drop_others(&self, repo: &Name, hosts: &BTreeSet<Name>) {
        let folder = self.roots(repo);
        let links = fs::read_dir(&folder).into_iter().flatten().flatten();
        for name in links.filter_map(|link| link.file_name().into_string().ok()) {
            if !hosts.contains(name.as_str())
                && let Err(error) = drop_root(&folder.join(&name))
            {
                tracing::warn!(%repo, host = name, %error, "could not give up the root of a host that is gone");
            }
        }
    }

    fn file(&self, id: &Id) -> PathBuf {
        self.dir.records().join(format!("{id}.json"))
    }

    fn read_all(&self, warnings: &mut Vec<String>) -> io::Result<Vec<Record>> {
        let mut records = Vec::new();
        for entry in fs::read_dir(self.dir.records())? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            match serde_json::from_slice(&fs::read(&path)?) {
                Ok(record) => records.push(record),
                Err(error) => {
                    let aside = path.with_extension("damaged");
                    let put = match fs::rename(&path, &aside) {
                        Ok(()) => format!("it lies in {}", aside.display()),
                        Err(error) => format!("it could not be put aside: {error}"),
                    };
                    let warning =
                        format!("the record {} of a build is damaged ({error}); {put}", path.display());
                    tracing::error!(warning, "something is wrong with the state directory");
                    warnings.push(warning);
                }
            }
        }
        Ok(records)
    }
}
