//! The state directory of a service: under a lock that one service holds, with its identity.

use super::{Identity, StoreError};
use crate::durable::WriteError;
use crate::private;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Written to find out whether anything can be. No id begins with a dot.
const PROBE: &str = ".probe";
/// Who this service is.
const IDENTITY: &str = "identity.json";
/// Where builders keep what they built.
const ROOTS: &str = "roots";
/// How the names of our files end.
const FILES: [&str; 3] = ["json", "jsonl", "lock"];
/// Directories that others need, should one of them be named as the state directory.
const SHARED: [&str; 10] =
    ["/", "/etc", "/home", "/mnt", "/opt", "/root", "/run", "/srv", "/var", "/var/lib"];
/// In the mode of a directory that many write to.
const STICKY: u32 = 0o1000;
/// How often, and with which pause, the lock is tried.
const PATIENCE: u32 = 25;
const PAUSE: Duration = Duration::from_millis(20);

/// A state directory that is ours.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    /// Where the records lie.
    records: PathBuf,
    identity: Identity,
    /// Held as long as this lives.
    _lock: File,
}

impl StateDir {
    /// Opens the directory with the folder `records` in it, takes the lock and counts the start. Where that cannot be written
    /// any more, the reason comes too.
    pub fn open(path: &Path, records: &str) -> Result<(Self, Option<WriteError>), StoreError> {
        let wrong = |source| StoreError::Folder { path: path.to_owned(), source };
        let records = path.join(records);
        private::directory(&records).map_err(wrong)?;
        close(path, &records);
        // One name for all services: each has files of the same names here.
        let lock = lock_file(&path.join("listener.lock")).map_err(wrong)?;
        if !take_patiently(&lock).map_err(wrong)? {
            return Err(StoreError::Locked(path.to_owned()));
        }
        let (identity, unwritten) = Identity::begin(&path.join(IDENTITY))?;
        Ok((Self { path: path.to_owned(), records, identity, _lock: lock }, unwritten))
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the records lie.
    pub fn records(&self) -> &Path {
        &self.records
    }

    /// Who this service is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Makes the count of starts higher than this one, durably.
    pub(super) fn start_after(&mut self, starts: u64) -> Result<(), WriteError> {
        self.identity.start_after(starts, &self.path.join(IDENTITY))
    }

    /// Whether a record could be written now. It is not synced: whoever asks may ask often.
    pub fn check_writable(&self) -> Result<(), StoreError> {
        let path = self.records.join(PROBE);
        // As much as a record takes, for a full disk still takes an empty file.
        let written = private::write(&path, &[0; 4096]).and_then(|()| fs::remove_file(&path));
        written.map_err(|source| WriteError { path, source }.into())
    }
}

/// Takes from everybody else what an earlier version let them read: logs hold what programs print. What cannot be changed,
/// as on a file system that has become read-only, stays as it is.
fn close(path: &Path, records: &Path) {
    let is_shared = |found: &fs::Metadata| {
        found.mode() & STICKY != 0 || SHARED.iter().any(|shared| path == Path::new(shared))
    };
    let folder = path.metadata().map(|found| if is_shared(&found) { Ok(()) } else { private::tighten(path) });
    let entries = fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    let ours = |path: &PathBuf| {
        let end = path.extension().and_then(|end| end.to_str());
        path == records
            || path.ends_with(ROOTS)
            || (path.is_file() && end.is_some_and(|end| FILES.contains(&end)))
    };
    let all = entries.filter(ours).map(|path| private::tighten_all(&path));
    for error in folder.into_iter().chain(all).filter_map(Result::err) {
        tracing::warn!(%error, folder = %path.display(), "could not keep others from reading the state directory");
    }
}

/// Takes the lock, or waits for a while: a program that a service was about to start when it was killed holds the lock of that
/// service for a moment longer. Gives whether it is ours.
fn take_patiently(lock: &File) -> io::Result<bool> {
    for _ in 0..PATIENCE {
        match lock.try_lock() {
            Ok(()) => return Ok(true),
            Err(fs::TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
            Err(fs::TryLockError::Error(source)) => return Err(source),
        }
    }
    Ok(false)
}

/// The file of the lock; one that is there needs not be written to be locked.
fn lock_file(path: &Path) -> io::Result<File> {
    private::options().truncate(true).open(path).or_else(|error| File::open(path).map_err(|_| error))
}
