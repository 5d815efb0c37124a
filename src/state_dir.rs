//! The state directory of a service: locked by one service at a time, with its identity and one record per job.

mod error;
mod identity;

pub use error::StoreError;
pub use identity::{Sequence, ServiceIdentity};

use crate::atomic_file::{self, WriteError};
use crate::private_file;
use jiff::SignedDuration;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// How long the id of an accepted request is remembered and an undelivered result is sent again.
pub const RETENTION: SignedDuration = SignedDuration::from_hours(24);
/// Temporary file that tests whether the directory is writable. No id begins with a dot.
const PROBE: &str = ".probe";
/// Directory with the garbage collector roots of a builder.
const ROOTS: &str = "roots";
/// Extensions of the files that this program creates.
const FILE_EXTENSIONS: [&str; 3] = ["json", "jsonl", "lock"];
/// Shared directories, whose mode is not changed if one of them is configured as the state directory.
const SHARED_DIRS: [&str; 10] =
    ["/", "/etc", "/home", "/mnt", "/opt", "/root", "/run", "/srv", "/var", "/var/lib"];
/// The sticky bit, which marks a directory that many users write to.
const STICKY: u32 = 0o1000;

/// A locked state directory.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    /// Directory of the records.
    records: PathBuf,
    identity: ServiceIdentity,
    /// Problems with the directory, in sentences for operators.
    warnings: Vec<String>,
    /// Held until dropped.
    _lock: File,
}

impl StateDir {
    /// Opens the directory with the subdirectory `records`, takes the lock and counts the start. If the count cannot be
    /// written, the directory opens anyway so that the service stays visible, with a warning that ends with
    /// `consequence`.
    pub fn open(path: &Path, records: &str, consequence: &str) -> Result<Self, StoreError> {
        let failed = |source| StoreError::Directory { path: path.to_owned(), source };
        let records = path.join(records);
        private_file::create_dir(&records).map_err(failed)?;
        restrict_access(path, &records);
        // All services use one lock file, because their other files here have the same names.
        let lock = private_file::lock_with_retry(&path.join("listener.lock")).map_err(failed)?;
        let lock = lock.ok_or_else(|| StoreError::Locked(path.to_owned()))?;
        let (identity, warnings) = ServiceIdentity::start(path, consequence)?;
        let mut dir = Self { path: path.to_owned(), records, identity, warnings: Vec::new(), _lock: lock };
        for warning in warnings {
            dir.warn(warning);
        }
        Ok(dir)
    }

    /// The files of all records, in any order. `file` returns the file of a record from its directory entry.
    pub fn record_files(
        &self,
        file: impl Fn(PathBuf) -> Option<PathBuf>,
    ) -> Result<Vec<PathBuf>, StoreError> {
        let entries = fs::read_dir(&self.records).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let entries = entries.map_err(|source| StoreError::Directory { path: self.path.clone(), source })?;
        Ok(entries.into_iter().filter_map(|entry| file(entry.path())).collect())
    }

    /// Reads a record of this kind, such as `job`; `None` if the file is missing or unusable. An unusable one becomes a
    /// warning, and a damaged one is quarantined.
    pub fn read_record<T>(
        &mut self,
        kind: &str,
        path: &Path,
        parse: impl FnOnce(&[u8]) -> serde_json::Result<T>,
    ) -> Option<T> {
        let parsed = match atomic_file::read(path) {
            Ok(bytes) => parse(&bytes).map_err(|error| error.to_string()),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(error.to_string()),
            // For example a file at the path of a directory.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return None;
            }
            Err(error) => {
                self.warn(format!("could not read the {kind} record {}: {error}", path.display()));
                return None;
            }
        };
        parsed
            .inspect_err(|error| {
                tracing::error!(file = %path.display(), error, "quarantined a damaged {kind} record");
                let moved = atomic_file::quarantine_described(path);
                self.warn(format!("the {kind} record {} is damaged ({error}); {moved}", path.display()));
            })
            .ok()
    }

    /// Problems with the directory that were found so far, in sentences for operators.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    fn warn(&mut self, warning: String) {
        tracing::error!("{warning}");
        self.warnings.push(warning);
    }

    /// Path of the state directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Directory of the records.
    pub fn records(&self) -> &Path {
        &self.records
    }

    /// Identity of this service.
    pub fn identity(&self) -> &ServiceIdentity {
        &self.identity
    }

    /// Raises the count of starts above that of the newest record: a new identity counts from one, but its jobs and
    /// reports must not sort before those on disk.
    pub fn start_after(&mut self, starts: u64) {
        if let Err(error) = self.identity.start_after(starts, &self.path) {
            self.warn(error.to_string());
        }
    }

    /// Checks that a record can be written now. It does not sync, because callers check often.
    pub fn check_writable(&self) -> Result<(), StoreError> {
        let path = self.records.join(PROBE);
        // The size of a record, because even a full disk accepts an empty file.
        let written = private_file::write(&path, &[0; 4096]).and_then(|()| fs::remove_file(&path));
        written.map_err(|source| WriteError { path, source }.into())
    }
}

/// Removes permissions of other users that an earlier version granted, because logs contain program output. Files that
/// cannot be changed, for example on a read-only file system, stay as they are.
fn restrict_access(path: &Path, records: &Path) {
    let is_shared = |found: &fs::Metadata| {
        found.mode() & STICKY != 0 || SHARED_DIRS.iter().any(|shared| path == Path::new(shared))
    };
    let dir_result =
        path.metadata().map(|found| if is_shared(&found) { Ok(()) } else { private_file::restrict(path) });
    let entries = fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    let ours = |path: &PathBuf| {
        let end = path.extension().and_then(|end| end.to_str());
        path == records
            || path.ends_with(ROOTS)
            || (path.is_file() && end.is_some_and(|end| FILE_EXTENSIONS.contains(&end)))
    };
    let entry_results = entries.filter(ours).map(|path| private_file::restrict_all(&path));
    for error in dir_result.into_iter().chain(entry_results).filter_map(Result::err) {
        tracing::warn!(%error, directory = %path.display(), "failed to restrict access to the state directory");
    }
}
