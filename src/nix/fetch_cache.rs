//! nix's cache of fetched sources and evaluations. nix never recovers from a cache that a power cut damaged, so the damaged part
//! is quarantined and fetched again.

use super::NixLine;
use crate::atomic_file::remove_dir;
use crate::git::env_var;
use crate::private_file;
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use tokio::process::Command;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

/// Name prefixes of the repository clones and of the tarball store.
const REPOSITORIES: [&str; 2] = ["gitv", "tarball-cache"];
/// Name prefixes of the `SQLite` databases about sources and evaluations.
const DATABASES: [&str; 2] = ["fetcher-cache", "eval-cache"];
/// Subdirectory that keeps the last damaged parts.
const QUARANTINE: &str = "quarantined";
/// Name prefix of caches for a single run of nix.
const PRIVATE: &str = "private-";
/// Lock file. Users of the cache hold a shared lock, a repair holds an exclusive one.
const LOCK: &str = "homelab-deploy.lock";

/// The damaged part of the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CacheDamage {
    Repository,
    Database,
}

impl CacheDamage {
    /// Detects a damaged cache from a line of nix or of the git that it runs.
    pub(super) fn detect(line: &str) -> Option<Self> {
        let line = line.to_lowercase();
        // git prefixes the server's messages: they are about the server's repository.
        if line.trim_start().starts_with("remote:") {
            return None;
        }
        let contains_any = |words: &[&str]| words.iter().any(|word| line.contains(word));
        if contains_any(&["database disk image is malformed", "file is not a database"]) {
            return Some(Self::Database);
        }
        let empty = line.contains("object file ") && line.contains(" is empty");
        let corrupt =
            contains_any(&["loose object ", "packed object ", "packfile "]) && line.contains("corrupt");
        let too_small = line.contains("index file ") && line.contains(" is too small");
        let git = [
            "not a git repository",
            "did not send all necessary objects",
            "bad object ",
            "not a tree object",
            "inflate: data stream error",
            "could not find repository",
            "unable to read tree",
            "far too short to be a packfile",
            "could not parse commit",
        ];
        (empty || corrupt || too_small || contains_any(&git)).then_some(Self::Repository)
    }

    fn names(self) -> [&'static str; 2] {
        match self {
            Self::Repository => REPOSITORIES,
            Self::Database => DATABASES,
        }
    }
}

/// Why a run of nix failed.
pub(super) struct NixFailure<E> {
    pub(super) error: E,
    /// The damaged part of nix's fetch cache, if that can be the cause.
    pub(super) damage: Option<CacheDamage>,
}

impl<E> From<E> for NixFailure<E> {
    fn from(error: E) -> Self {
        Self { error, damage: None }
    }
}

/// Runs the nix of `command`. If its fetch cache is damaged, repairs the cache, logs that to `output`, and runs nix
/// again.
pub(super) async fn run_with_cache_repair<T, E, C, R>(
    command: impl Fn() -> C,
    output: Option<&mpsc::Sender<NixLine>>,
    run: impl Fn(Command) -> R,
) -> Result<T, E>
where
    C: Future<Output = Command>,
    R: Future<Output = Result<T, NixFailure<E>>>,
{
    let nix = command().await;
    let cache = FetchCache::of(&nix).await;
    let NixFailure { error, damage } = match run(nix).await {
        Ok(result) => return Ok(result),
        Err(failure) => failure,
    };
    let (Some(cache), Some(damage)) = (cache, damage) else { return Err(error) };
    let Some(repaired) = cache.repair(damage).await else { return Err(error) };
    if let Some(output) = output {
        // The receiver may have been dropped, which is not an error.
        let _ = output.send(NixLine::Log(repaired.message.clone())).await;
    }
    let mut nix = command().await;
    repaired.apply_to(&mut nix);
    run(nix).await.map_err(|failure| failure.error)
}

/// The cache of a nix, with a shared lock on it while this value exists.
struct FetchCache {
    directory: PathBuf,
    lock: Option<File>,
}

/// A cache that nix can use again after a repair.
struct RepairedCache {
    /// What was done, for the log.
    message: String,
    /// A separate cache, if the regular one cannot be moved or is in use.
    private: Option<PrivateCache>,
}

impl RepairedCache {
    /// Makes nix use this cache. Keep the value until nix has ended.
    fn apply_to(&self, nix: &mut Command) {
        if let Some(PrivateCache(path)) = &self.private {
            nix.env("XDG_CACHE_HOME", path).env("NIX_CACHE_HOME", path.join("nix"));
        }
    }
}

impl FetchCache {
    /// Locates the cache of this nix and locks it. `None` if it cannot be located.
    async fn of(nix: &Command) -> Option<Self> {
        let directory = match env_var(nix, "NIX_CACHE_HOME") {
            Some(directory) => PathBuf::from(directory),
            None => match env_var(nix, "XDG_CACHE_HOME") {
                Some(caches) => PathBuf::from(caches).join("nix"),
                None => home(nix)?.join(".cache/nix"),
            },
        };
        let opened = spawn_blocking(move || {
            let lock = || -> io::Result<File> {
                fs::create_dir_all(&directory)?;
                let file = private_file::open_options().open(directory.join(LOCK))?;
                flock(&file, FlockOperation::LockShared)?;
                Ok(file)
            };
            // If this fails, nix cannot write to the directory either, and reports the reason.
            Self { lock: lock().ok(), directory }
        });
        opened.await.ok()
    }

    /// Quarantines the damaged part. If another nix of ours uses the cache, creates a separate cache for one run instead. `None` if
    /// both fail.
    async fn repair(&self, damage: CacheDamage) -> Option<RepairedCache> {
        let cache = Self { directory: self.directory.clone(), lock: self.lock.as_ref()?.try_clone().ok() };
        let repaired = spawn_blocking(move || cache.repair_blocking(damage)).await;
        match repaired.unwrap_or_else(|error| Err(io::Error::other(error))) {
            Ok(repaired) => {
                tracing::warn!("{}", repaired.message);
                Some(repaired)
            }
            Err(error) => {
                let cache = self.directory.display().to_string();
                tracing::warn!(cache, %error, "failed to quarantine nix's damaged cache");
                None
            }
        }
    }

    fn repair_blocking(&self, damage: CacheDamage) -> io::Result<RepairedCache> {
        let shown = self.directory.display();
        let reason = match self.quarantine(damage) {
            Ok(true) => {
                let message =
                    format!("nix's cache in {shown} is damaged: moved to {QUARANTINE} there, fetching again");
                return Ok(RepairedCache { message, private: None });
            }
            Ok(false) => "in use by another build".to_owned(),
            Err(error) => format!("could not be moved ({error})"),
        };
        let private = PrivateCache::new(&self.directory)?;
        let message = format!(
            "nix's cache in {shown} is damaged and {reason}: fetching again into {}",
            private.0.display()
        );
        Ok(RepairedCache { message, private: Some(private) })
    }

    /// Moves the damaged part to the quarantine. `false` if another process uses the cache.
    fn quarantine(&self, damage: CacheDamage) -> io::Result<bool> {
        let Some(lock) = &self.lock else { return Err(io::Error::other("it cannot be locked")) };
        match flock(lock, FlockOperation::NonBlockingLockExclusive) {
            Err(error) if error == rustix::io::Errno::WOULDBLOCK => {
                // The kernel may have released the shared lock in the failed attempt.
                flock(lock, FlockOperation::LockShared)?;
                return Ok(false);
            }
            locked => locked?,
        }
        let moved = self.move_to_quarantine(damage);
        flock(lock, FlockOperation::LockShared)?;
        moved.map(|()| true)
    }

    fn move_to_quarantine(&self, damage: CacheDamage) -> io::Result<()> {
        let quarantine = self.directory.join(QUARANTINE);
        remove_dir(&quarantine)?;
        private_file::create_dir(&quarantine)?;
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let name = entry.file_name();
            let begins = |start: &&str| name.to_string_lossy().starts_with(start);
            if begins(&PRIVATE) {
                // Its owner was killed; a running one would hold the lock.
                remove_dir(&entry.path())?;
            } else if damage.names().iter().any(begins) {
                fs::rename(entry.path(), quarantine.join(name))?;
            }
        }
        Ok(())
    }
}

/// A cache for a single run of nix, removed when dropped.
struct PrivateCache(PathBuf);

impl PrivateCache {
    /// Creates the cache within the regular one, and so on a disk with enough space.
    fn new(usual: &Path) -> io::Result<Self> {
        let path = usual.join(format!("{PRIVATE}{:016x}", fastrand::u64(..)));
        private_file::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for PrivateCache {
    fn drop(&mut self) {
        let _ = remove_dir(&self.0);
    }
}

fn home(nix: &Command) -> Option<PathBuf> {
    let set = env_var(nix, "HOME").map(PathBuf::from).or_else(std::env::home_dir);
    set.filter(|home| !home.as_os_str().is_empty())
}
