//! The commits of one remote repository, without their files, in a bare repository of the host.
//!
//! A file server may hold objects that no branch has, such as the commits of forks and of open pull requests. Only the parents
//! of a commit say what a branch contains, so these are fetched, and asked here.

use super::process::{self, Ended};
use super::{FlakeUrl, ResolveError, access_tokens, remote, ssh};
use crate::protocol::Revision;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use tokio::process::Command;

/// Exists while git fetches: if git was killed there, its locks and unfinished files remain.
const FETCHING: &str = "fetching";
/// Each fetch adds a pack. With more than these the cache is made again, without what no ref has any more.
const MAX_PACKS: usize = 50;
/// The most that is read of what git prints, in bytes.
const MAX_OUTPUT: u64 = 16 << 20;
/// The variable that carries the URL of the remote, so that its credentials are in no list of arguments and in no file.
const URL: &str = "HOMELAB_DEPLOY_REMOTE_URL";

/// Every branch and every tag.
pub(super) const EVERY_REF: [&str; 2] = ["refs/heads/*", "refs/tags/*"];

/// The commits of the repository of a flake.
pub(super) struct CommitCache<'a> {
    dir: &'a Path,
    flake: &'a FlakeUrl,
    remote: &'a str,
    /// What is being looked up, for error messages.
    revision: &'a Revision,
}

impl<'a> CommitCache<'a> {
    pub(super) fn new(dir: &'a Path, flake: &'a FlakeUrl, remote: &'a str, revision: &'a Revision) -> Self {
        Self { dir, flake, remote, revision }
    }

    /// git on the cache. It knows no remote, so it can fetch nothing.
    pub(super) fn git(&self) -> Command {
        let mut git = process::command("git");
        // No hooks, no background work, and no other object in the place of the one that was named.
        git.env("GIT_NO_LAZY_FETCH", "1").env("GIT_NO_REPLACE_OBJECTS", "1").arg("--git-dir").arg(self.dir);
        git.args(["-c", "core.hooksPath=/dev/null", "-c", "gc.auto=0", "-c", "maintenance.auto=false"]);
        // On the disk before it counts as here.
        git.args(["-c", "core.fsync=all"]);
        git
    }

    /// Fetches `reference` unless `commit`, which it named a moment ago, is here with its history.
    pub(super) async fn ensure(&self, commit: &str, reference: &str) -> Result<(), ResolveError> {
        // The second time into an empty cache: git would fetch nothing that a damaged one claims to have.
        for clear in [false, true] {
            if self.has(commit).await? {
                return Ok(());
            }
            if clear {
                remove(self.dir).map_err(|error| self.failed(error))?;
            }
            self.fetch(&[reference]).await?;
        }
        if self.has(commit).await? {
            return Ok(());
        }
        Err(ResolveError::Moved { reference: reference.to_owned(), flake: self.flake.without_credentials() })
    }

    /// Fetches the commits of these refs, which may end in `*`: whole histories the first time, later what is new.
    pub(super) async fn fetch(&self, references: &[&str]) -> Result<(), ResolveError> {
        let was_usable = self.is_usable();
        match self.fetch_once(references).await {
            // It may be the cache that git could not use; the next attempt has an empty one.
            Err(ResolveError::Unreachable { .. }) if was_usable => self.fetch_once(references).await,
            fetched => fetched,
        }
    }

    async fn fetch_once(&self, references: &[&str]) -> Result<(), ResolveError> {
        self.prepare().await.map_err(|error| self.failed(error))?;
        let marker = self.dir.join(FETCHING);
        // A power cut that leaves half of what is fetched leaves this too.
        write_marker(&marker).map_err(|error| self.failed(at(&marker, &error)))?;
        let mut ended = self.run_fetch(self.flake, references).await.map_err(|error| self.failed(error))?;
        let lent = access_tokens::lacking(self.flake, &ended).await;
        if let Some(lent) = &lent {
            ended = self.run_fetch(lent, references).await.map_err(|error| self.failed(error))?;
        }
        if !ended.status.success() {
            return Err(remote::unreachable(lent.as_ref().unwrap_or(self.flake), self.revision, &ended));
        }
        fs::remove_file(&marker).map_err(|error| self.failed(at(&marker, &error)))
    }

    /// `flake` has the credentials.
    async fn run_fetch(&self, flake: &FlakeUrl, references: &[&str]) -> io::Result<Ended> {
        let mut git = self.git();
        flake.give_credentials(&mut git);
        git.env(URL, self.remote).arg(format!("--config-env=remote.flake.url={URL}"));
        git.args(["fetch", "--quiet", "--force", "--prune", "--no-tags", "--no-recurse-submodules"]);
        // A server that knows no filters sends the files too.
        git.args(["--no-write-fetch-head", "--update-shallow", "--filter=tree:0", "flake"]);
        git.args(references.iter().map(|reference| format!("{reference}:{reference}")));
        if self.remote.starts_with("ssh://") {
            ssh::quiet_ssh(&mut git).await?;
        }
        process::run(git, MAX_OUTPUT).await
    }

    /// Whether `ancestor` is `commit` or in its history, which must be here.
    pub(super) async fn is_ancestor(&self, ancestor: &str, commit: &str) -> Result<bool, ResolveError> {
        if let Found::Here(answer) = self.find_ancestor(ancestor, commit).await? {
            return Ok(answer);
        }
        self.fetch_anew().await?;
        match self.find_ancestor(ancestor, commit).await? {
            Found::Here(answer) => Ok(answer),
            Found::Damaged(said) => Err(self.damaged(&said)),
        }
    }

    async fn find_ancestor(&self, ancestor: &str, commit: &str) -> Result<Found<bool>, ResolveError> {
        // A commit that was not fetched with the history of the other one is not in that.
        match self.find(ancestor).await? {
            Found::Here(true) => {}
            other => return Ok(other),
        }
        let mut git = self.git();
        git.args(["merge-base", "--is-ancestor", ancestor, commit]);
        let ended = process::run(git, MAX_OUTPUT).await.map_err(|error| self.failed(error))?;
        Ok(match ended.status.code() {
            Some(0) => Found::Here(true),
            Some(1) => Found::Here(false),
            _ => Found::Damaged(said(&ended)),
        })
    }

    /// The full names of the fetched refs whose history has this commit.
    pub(super) async fn refs_with(&self, commit: &str) -> Result<Vec<String>, ResolveError> {
        if let Found::Here(answer) = self.find_refs(commit).await? {
            return Ok(answer);
        }
        self.fetch_anew().await?;
        match self.find_refs(commit).await? {
            Found::Here(answer) => Ok(answer),
            Found::Damaged(said) => Err(self.damaged(&said)),
        }
    }

    async fn find_refs(&self, commit: &str) -> Result<Found<Vec<String>>, ResolveError> {
        match self.find(commit).await? {
            Found::Here(true) => {}
            Found::Here(false) => return Ok(Found::Here(Vec::new())),
            Found::Damaged(said) => return Ok(Found::Damaged(said)),
        }
        let mut git = self.git();
        git.args(["for-each-ref", "--format=%(refname)", "--contains", commit, "refs/heads", "refs/tags"]);
        let ended = process::run(git, MAX_OUTPUT).await.map_err(|error| self.failed(error))?;
        // It ends well although it could not read all commits.
        let is_whole = ended.status.success() && !ended.stderr.lines().any(|line| line.starts_with("error:"));
        Ok(if is_whole {
            Found::Here(ended.stdout.lines().map(str::to_owned).collect())
        } else {
            Found::Damaged(said(&ended))
        })
    }

    /// Whether the commit itself is here. A damaged cache has nothing.
    pub(super) async fn has(&self, commit: &str) -> Result<bool, ResolveError> {
        match self.find(commit).await? {
            Found::Here(answer) => Ok(answer),
            Found::Damaged(said) => {
                self.set_aside(&said)?;
                Ok(false)
            }
        }
    }

    async fn find(&self, commit: &str) -> Result<Found<bool>, ResolveError> {
        if !self.is_usable() {
            return Ok(Found::Here(false));
        }
        let mut git = self.git();
        git.args(["cat-file", "-e", &format!("{commit}^{{commit}}")]);
        let ended = process::run(git, MAX_OUTPUT).await.map_err(|error| self.failed(error))?;
        if ended.status.success() {
            return Ok(Found::Here(true));
        }
        // That alone is said of a commit that was never here. What a power cut has emptied is told with more.
        let is_missing = ended.stderr.lines().all(|line| line.starts_with("fatal: Not a valid object name"));
        Ok(if is_missing { Found::Here(false) } else { Found::Damaged(said(&ended)) })
    }

    /// Whether there is a cache, and no fetch into it has failed.
    fn is_usable(&self) -> bool {
        self.dir.join("HEAD").exists() && !self.dir.join(FETCHING).exists()
    }

    /// Makes the cache if there is none that can be used, or if it has grown too large.
    async fn prepare(&self) -> io::Result<()> {
        if self.is_usable() && packs(self.dir) <= MAX_PACKS {
            return Ok(());
        }
        remove(self.dir)?;
        let created = DirBuilder::new().recursive(true).mode(0o700).create(self.dir);
        created.map_err(|error| at(self.dir, &error))?;
        let mut git = self.git();
        git.args(["init", "--quiet", "--bare", "--template=", "--object-format=sha1"]);
        let ended = process::run(git, MAX_OUTPUT).await?;
        if ended.status.success() { Ok(()) } else { Err(io::Error::other(said(&ended))) }
    }

    /// Fetches every commit into a new cache, for the one that is here was found to be damaged.
    async fn fetch_anew(&self) -> Result<(), ResolveError> {
        self.set_aside("its history has holes")?;
        self.fetch(&EVERY_REF).await
    }

    /// Moves a damaged cache aside, in the place of the one before.
    fn set_aside(&self, said: &str) -> Result<(), ResolveError> {
        let mut quarantine = self.dir.as_os_str().to_owned();
        quarantine.push(".quarantined");
        let quarantine = Path::new(&quarantine);
        let cache = self.dir.display();
        tracing::warn!(%cache, reason = said, "the cache of commits is damaged: set aside, fetching anew");
        remove(quarantine).map_err(|error| self.failed(error))?;
        fs::rename(self.dir, quarantine).map_err(|error| self.failed(at(self.dir, &error)))
    }

    /// A cache that is damaged although it was just fetched.
    fn damaged(&self, said: &str) -> ResolveError {
        let removed = remove(self.dir).map_or_else(|error| format!("; {error}"), |()| String::new());
        let what = format!("{} is damaged: {said}{removed}", self.dir.display());
        self.failed(io::Error::other(what))
    }

    pub(super) fn failed(&self, source: io::Error) -> ResolveError {
        remote::failed(self.flake, self.revision, source)
    }
}

/// What a look into the cache gave.
enum Found<T> {
    Here(T),
    /// What git said.
    Damaged(String),
}

fn said(ended: &Ended) -> String {
    remote::last_lines(&ended.stderr).unwrap_or_else(|| format!("git ended with {}", ended.status))
}

/// A file that is missing must not read as a git that is missing.
fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::other(format!("{}: {error}", path.display()))
}

fn write_marker(marker: &Path) -> io::Result<()> {
    File::create(marker)?.sync_all()?;
    File::open(marker.parent().unwrap_or(Path::new("/")))?.sync_all()
}

fn remove(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(dir, &error)),
        _ => Ok(()),
    }
}

fn packs(dir: &Path) -> usize {
    let files = fs::read_dir(dir.join("objects/pack")).into_iter().flatten().flatten();
    files.filter(|file| file.path().extension().is_some_and(|kind| kind == "pack")).count()
}
