//! nix's cache of what it has fetched and evaluated: what a power cut left of it is set aside, so that the next attempt
//! fetches anew. nix itself never gets over a damaged one.

use super::ssh::variable;
use crate::private;
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use tokio::process::Command;
use tokio::task::spawn_blocking;

/// The clones of repositories and the store of tarballs, by how their names begin.
const REPOSITORIES: [&str; 2] = ["gitv", "tarball-cache"];
/// What nix remembers of sources and of evaluations, each in files of `SQLite`.
const DATABASES: [&str; 2] = ["fetcher-cache", "eval-cache"];
/// Where the last damaged ones are kept.
const QUARANTINE: &str = "quarantined";
/// How the names of caches begin that are used once.
const PRIVATE: &str = "private-";
/// Locked by whoever uses the cache, together with others, and by whoever sets it aside, alone.
const LOCK: &str = "homelab-deploy.lock";

/// What of the cache is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Damage {
    Repository,
    Database,
}

impl Damage {
    /// Whether a line of nix, or of a git that it calls, tells of damage here.
    pub(super) fn told_by(line: &str) -> Option<Self> {
        let line = line.to_lowercase();
        // The server's own repository.
        if line.trim_start().starts_with("remote:") {
            return None;
        }
        let says = |words: &[&str]| words.iter().any(|word| line.contains(word));
        if says(&["database disk image is malformed", "file is not a database"]) {
            return Some(Self::Database);
        }
        let empty = line.contains("object file ") && line.contains(" is empty");
        let corrupt = says(&["loose object ", "packed object ", "packfile "]) && line.contains("corrupt");
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
        (empty || corrupt || too_small || says(&git)).then_some(Self::Repository)
    }

    fn names(self) -> [&'static str; 2] {
        match self {
            Self::Repository => REPOSITORIES,
            Self::Database => DATABASES,
        }
    }
}

/// The cache that a nix uses, shared with every other nix of ours while this is held.
pub(super) struct FetchCache {
    directory: PathBuf,
    lock: Option<File>,
}

/// A cache that is whole.
pub(super) struct Healed {
    /// What was done.
    pub(super) said: String,
    /// Where the usual place cannot be cleared, or others use it.
    private: Option<PrivateCache>,
}

impl Healed {
    /// Has nix use it. It must be kept until nix has ended.
    pub(super) fn give(&self, nix: &mut Command) {
        if let Some(PrivateCache(path)) = &self.private {
            nix.env("XDG_CACHE_HOME", path).env("NIX_CACHE_HOME", path.join("nix"));
        }
    }
}

impl FetchCache {
    /// The cache of this nix; nothing where it cannot be found.
    pub(super) async fn of(nix: &Command) -> Option<Self> {
        let directory = match variable(nix, "NIX_CACHE_HOME") {
            Some(directory) => PathBuf::from(directory),
            None => match variable(nix, "XDG_CACHE_HOME") {
                Some(caches) => PathBuf::from(caches).join("nix"),
                None => home(nix)?.join(".cache/nix"),
            },
        };
        let opened = spawn_blocking(move || {
            let lock = || -> io::Result<File> {
                fs::create_dir_all(&directory)?;
                let file = private::options().open(directory.join(LOCK))?;
                flock(&file, FlockOperation::LockShared)?;
                Ok(file)
            };
            // Where we cannot write nix cannot either, and tells so itself.
            Self { lock: lock().ok(), directory }
        });
        opened.await.ok()
    }

    /// Sets aside what is damaged, unless another nix of ours uses the cache: then there is another one for one run. Gives
    /// nothing where neither can be done.
    pub(super) async fn heal(&self, damage: Damage) -> Option<Healed> {
        let cache = Self { directory: self.directory.clone(), lock: self.lock.as_ref()?.try_clone().ok() };
        let healed = spawn_blocking(move || cache.heal_now(damage)).await;
        match healed.unwrap_or_else(|error| Err(io::Error::other(error))) {
            Ok(healed) => {
                tracing::warn!("{}", healed.said);
                Some(healed)
            }
            Err(error) => {
                let cache = self.directory.display().to_string();
                tracing::warn!(cache, %error, "failed to set aside nix's damaged cache");
                None
            }
        }
    }

    fn heal_now(&self, damage: Damage) -> io::Result<Healed> {
        let shown = self.directory.display();
        let why = match self.set_aside(damage) {
            Ok(true) => {
                let said =
                    format!("nix's cache in {shown} is damaged: moved to {QUARANTINE} there, fetching anew");
                return Ok(Healed { said, private: None });
            }
            Ok(false) => "another build uses it".to_owned(),
            Err(error) => format!("it could not be moved ({error})"),
        };
        let private = PrivateCache::new(&self.directory)?;
        let said = format!(
            "nix's cache in {shown} is damaged and {why}: fetching anew into {}",
            private.0.display()
        );
        Ok(Healed { said, private: Some(private) })
    }

    /// `false` if others use it.
    fn set_aside(&self, damage: Damage) -> io::Result<bool> {
        let Some(lock) = &self.lock else { return Err(io::Error::other("it cannot be locked")) };
        match flock(lock, FlockOperation::NonBlockingLockExclusive) {
            Err(error) if error == rustix::io::Errno::WOULDBLOCK => {
                // The kernel may have given up the shared lock on the way.
                flock(lock, FlockOperation::LockShared)?;
                return Ok(false);
            }
            locked => locked?,
        }
        let moved = self.move_away(damage);
        flock(lock, FlockOperation::LockShared)?;
        moved.map(|()| true)
    }

    fn move_away(&self, damage: Damage) -> io::Result<()> {
        let quarantine = self.directory.join(QUARANTINE);
        remove(&quarantine)?;
        DirBuilder::new().mode(0o700).create(&quarantine)?;
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let name = entry.file_name();
            let begins = |start: &&str| name.to_string_lossy().starts_with(start);
            if begins(&PRIVATE) {
                // Its owner was killed: else it would hold the lock too.
                remove(&entry.path())?;
            } else if damage.names().iter().any(begins) {
                fs::rename(entry.path(), quarantine.join(name))?;
            }
        }
        Ok(())
    }
}

/// A cache for one run of nix, removed with all that is in it when dropped.
struct PrivateCache(PathBuf);

impl PrivateCache {
    /// Beside the usual one, where there is room for it.
    fn new(usual: &Path) -> io::Result<Self> {
        let path = usual.join(format!("{PRIVATE}{:016x}", fastrand::u64(..)));
        DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for PrivateCache {
    fn drop(&mut self) {
        let _ = remove(&self.0);
    }
}

fn remove(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn home(nix: &Command) -> Option<PathBuf> {
    let set = variable(nix, "HOME").map(PathBuf::from).or_else(std::env::home_dir);
    set.filter(|home| !home.as_os_str().is_empty())
}
