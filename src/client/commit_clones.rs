//! The clones of the flakes' repositories: commits without files, in the cache directory of the operator.

use crate::atomic_file::remove_dir;
use crate::private_file;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

/// Maximum number of clones.
const MAX_CLONES: usize = 20;
/// A clone that was not used for this long is removed.
const MAX_AGE: Duration = Duration::from_hours(30 * 24);
/// Interval between attempts to lock a clone that another process uses.
const LOCK_RETRY: Duration = Duration::from_millis(200);
/// Extension of the lock file of a clone. Its time is that of the last use.
const LOCK: &str = "lock";

/// A directory of clones.
#[derive(Debug, Clone)]
pub struct CommitClones {
    dir: PathBuf,
}

/// A clone that no other process uses until this is dropped.
pub(super) struct LockedClone {
    /// The bare repository, which may not exist yet.
    pub(super) dir: PathBuf,
    _lock: File,
}

impl CommitClones {
    /// The clones in this directory, which is created when it is needed.
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Locks the clone of a repository, and removes unused clones. Waits while another process holds the lock.
    pub(super) async fn lock(&self, url: &str) -> io::Result<LockedClone> {
        let mut hasher = DefaultHasher::new();
        url.hash(&mut hasher);
        let clone = self.dir.join(format!("{:016x}", hasher.finish()));
        loop {
            let (dir, clone) = (self.dir.clone(), clone.clone());
            let locked = spawn_blocking(move || lock(&dir, clone)).await.map_err(io::Error::other)?;
            match locked? {
                Some(locked) => return Ok(locked),
                None => sleep(LOCK_RETRY).await,
            }
        }
    }
}

fn lock(dir: &Path, clone: PathBuf) -> io::Result<Option<LockedClone>> {
    private_file::create_dir(dir)?;
    private_file::restrict(dir)?;
    let Some(lock) = private_file::lock(&clone.with_extension(LOCK))? else { return Ok(None) };
    lock.set_modified(SystemTime::now())?;
    prune(dir);
    Ok(Some(LockedClone { dir: clone, _lock: lock }))
}

/// Removes clones beyond the maximum number or age, except those in use.
fn prune(dir: &Path) {
    let files = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let locks = files.filter(|path| path.extension().is_some_and(|extension| extension == LOCK));
    let used = |path: &PathBuf| path.metadata().and_then(|found| found.modified()).ok();
    let mut locks: Vec<_> = locks.filter_map(|path| Some((used(&path)?, path))).collect();
    locks.sort_unstable_by(|a, b| b.cmp(a));
    for (at, (used, path)) in locks.into_iter().enumerate() {
        let is_old = used.elapsed().is_ok_and(|age| age > MAX_AGE);
        if (at >= MAX_CLONES || is_old)
            && let Ok(Some(_lock)) = private_file::lock(&path)
        {
            let clone = path.with_extension("");
            // What cannot be removed now is removed the next time, because its lock file stays.
            let removed = remove_dir(&clone).and_then(|()| remove_dir(&clone.with_extension("quarantined")));
            if removed.is_ok() {
                let _ = fs::remove_file(&path);
            }
        }
    }
}
