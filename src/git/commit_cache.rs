//! A local bare repository with the commits of one remote repository, without their files.
//!
//! A git server may have objects that are on no branch, such as the commits of forks and of open pull requests. Only the history
//! of a branch shows which commits it contains, so the histories are fetched and searched locally.

use super::{Remote, ResolveError, last_lines};
use crate::atomic_file::{quarantine, remove_dir};
use crate::private_file;
use crate::protocol::Revision;
use crate::unattended::{ProcessLimits, ProcessOutput, captured, run};
use std::fs::{self, File};
use std::io;
use std::path::Path;
use tokio::process::Command;

/// Exists while git fetches. If it exists at another time, git was killed and may have left locks and unfinished files.
const FETCH_MARKER: &str = "fetching";
/// Maximum number of packs. Each fetch adds one; beyond the limit the cache is created again, without unreachable commits.
const MAX_PACKS: usize = 50;
/// Maximum size of git's output, in bytes.
const MAX_OUTPUT: u64 = 16 << 20;
/// Environment variable that passes the remote's URL to git, which keeps it out of arguments and files.
const URL: &str = "HOMELAB_DEPLOY_REMOTE_URL";

/// Refspec patterns for all branches and tags.
pub(super) const ALL_REFS: [&str; 2] = ["refs/heads/*", "refs/tags/*"];

/// The cached commits of a repository.
pub(super) struct CommitCache<'a> {
    dir: &'a Path,
    remote: &'a Remote,
    /// The revision that is looked up, for error messages.
    revision: &'a Revision,
}

impl<'a> CommitCache<'a> {
    pub(super) fn new(dir: &'a Path, remote: &'a Remote, revision: &'a Revision) -> Self {
        Self { dir, remote, revision }
    }

    /// Runs git on the cache. It has no remote and cannot fetch.
    pub(super) fn git(&self) -> Command {
        let mut git = captured("git");
        // Without hooks, background maintenance and replacement objects.
        git.env("GIT_NO_LAZY_FETCH", "1").env("GIT_NO_REPLACE_OBJECTS", "1").arg("--git-dir").arg(self.dir);
        git.args(["-c", "core.hooksPath=/dev/null", "-c", "gc.auto=0", "-c", "maintenance.auto=false"]);
        // Without a warning for a branch whose name looks like a commit.
        git.args(["-c", "core.warnAmbiguousRefs=false"]);
        // Objects must survive a power cut once git reports success.
        git.args(["-c", "core.fsync=all"]);
        git
    }

    /// Fetches `reference` unless its `commit`, which was just looked up, is in the cache.
    pub(super) async fn ensure_fetched(&self, commit: &str, reference: &str) -> Result<(), ResolveError> {
        // The second attempt clears the cache first because git does not fetch what a damaged cache claims to have.
        for clear in [false, true] {
            if self.has(commit).await? {
                return Ok(());
            }
            if clear {
                remove_dir(self.dir).map_err(|error| self.failed(with_path(self.dir, &error)))?;
            }
            self.fetch(&[reference]).await?;
        }
        if self.has(commit).await? {
            return Ok(());
        }
        Err(ResolveError::Moved { reference: reference.to_owned(), remote: self.remote.shown.clone() })
    }

    /// Fetches the commits of these refs, which may end in `*`. The first fetch gets complete histories, later ones only new commits.
    pub(super) async fn fetch(&self, references: &[&str]) -> Result<(), ResolveError> {
        let was_usable = self.is_usable();
        match self.fetch_once(references).await {
            // The cache may be the cause: the failed fetch left its marker, so the second attempt starts with an empty cache.
            Err(ResolveError::Unreachable { .. }) if was_usable => self.fetch_once(references).await,
            fetched => fetched,
        }
    }

    async fn fetch_once(&self, references: &[&str]) -> Result<(), ResolveError> {
        self.prepare().await.map_err(|error| self.failed(error))?;
        let marker = self.dir.join(FETCH_MARKER);
        // Synced to disk, so that a power cut during the fetch leaves the marker too.
        write_marker(&marker).map_err(|error| self.failed(with_path(&marker, &error)))?;
        let limits = ProcessLimits { output: MAX_OUTPUT, memory: None };
        let output = self.remote.run(|| self.fetch_command(references), limits).await;
        let output = output.map_err(|error| self.failed(error))?;
        if !output.status.success() {
            return Err(self.remote.unreachable(self.revision, &output));
        }
        fs::remove_file(&marker).map_err(|error| self.failed(with_path(&marker, &error)))
    }

    fn fetch_command(&self, references: &[&str]) -> Command {
        let mut git = self.git();
        git.env(URL, &self.remote.url).arg(format!("--config-env=remote.flake.url={URL}"));
        git.args(["fetch", "--quiet", "--force", "--prune", "--no-tags", "--no-recurse-submodules"]);
        // A server that does not support filters sends the files too.
        git.args(["--no-write-fetch-head", "--update-shallow", "--filter=tree:0", "flake"]);
        git.args(references.iter().map(|reference| format!("{reference}:{reference}")));
        git
    }

    /// Whether `ancestor` is `commit` or in its history. `commit` must be in the cache.
    pub(super) async fn is_ancestor(&self, ancestor: &str, commit: &str) -> Result<bool, ResolveError> {
        if let Lookup::Found(answer) = self.lookup_ancestor(ancestor, commit).await? {
            return Ok(answer);
        }
        self.refetch_all().await?;
        match self.lookup_ancestor(ancestor, commit).await? {
            Lookup::Found(answer) => Ok(answer),
            Lookup::Damaged(message) => Err(self.damaged(&message)),
        }
    }

    async fn lookup_ancestor(&self, ancestor: &str, commit: &str) -> Result<Lookup<bool>, ResolveError> {
        // If the ancestor was not fetched with the history of the other commit, it is not part of it.
        match self.lookup(ancestor).await? {
            Lookup::Found(true) => {}
            other => return Ok(other),
        }
        let mut git = self.git();
        git.args(["merge-base", "--is-ancestor", ancestor, commit]);
        let output = run(git, MAX_OUTPUT).await.map_err(|error| self.failed(error))?;
        Ok(match output.status.code() {
            Some(0) => Lookup::Found(true),
            Some(1) => Lookup::Found(false),
            _ => Lookup::Damaged(last_message(&output)),
        })
    }

    /// The full names of the fetched refs that contain this commit.
    pub(super) async fn refs_containing(&self, commit: &str) -> Result<Vec<String>, ResolveError> {
        if let Lookup::Found(answer) = self.lookup_refs(commit).await? {
            return Ok(answer);
        }
        self.refetch_all().await?;
        match self.lookup_refs(commit).await? {
            Lookup::Found(answer) => Ok(answer),
            Lookup::Damaged(message) => Err(self.damaged(&message)),
        }
    }

    async fn lookup_refs(&self, commit: &str) -> Result<Lookup<Vec<String>>, ResolveError> {
        match self.lookup(commit).await? {
            Lookup::Found(true) => {}
            Lookup::Found(false) => return Ok(Lookup::Found(Vec::new())),
            Lookup::Damaged(message) => return Ok(Lookup::Damaged(message)),
        }
        let mut git = self.git();
        git.args(["for-each-ref", "--format=%(refname)", "--contains", commit, "refs/heads", "refs/tags"]);
        let output = run(git, MAX_OUTPUT).await.map_err(|error| self.failed(error))?;
        // git exits with 0 even if it could not read all commits.
        let is_whole =
            output.status.success() && !output.stderr.lines().any(|line| line.starts_with("error:"));
        Ok(if is_whole {
            Lookup::Found(output.stdout.lines().map(str::to_owned).collect())
        } else {
            Lookup::Damaged(last_message(&output))
        })
    }

    /// Whether the commit is in the cache. A damaged cache is quarantined and counts as empty.
    pub(super) async fn has(&self, commit: &str) -> Result<bool, ResolveError> {
        match self.lookup(commit).await? {
            Lookup::Found(answer) => Ok(answer),
            Lookup::Damaged(message) => {
                self.quarantine(&message)?;
                Ok(false)
            }
        }
    }

    async fn lookup(&self, commit: &str) -> Result<Lookup<bool>, ResolveError> {
        if !self.is_usable() {
            return Ok(Lookup::Found(false));
        }
        let mut git = self.git();
        git.args(["cat-file", "-e", &format!("{commit}^{{commit}}")]);
        let output = run(git, MAX_OUTPUT).await.map_err(|error| self.failed(error))?;
        if output.status.success() {
            return Ok(Lookup::Found(true));
        }
        // git prints only this line for a missing commit. For an object that a power cut emptied it prints more.
        let is_missing = output.stderr.lines().all(|line| line.starts_with("fatal: Not a valid object name"));
        Ok(if is_missing { Lookup::Found(false) } else { Lookup::Damaged(last_message(&output)) })
    }

    /// Whether the cache exists and no fetch into it has failed.
    fn is_usable(&self) -> bool {
        self.dir.join("HEAD").exists() && !self.dir.join(FETCH_MARKER).exists()
    }

    /// Creates the cache if it is missing, unusable or too large.
    async fn prepare(&self) -> io::Result<()> {
        if self.is_usable() && packs(self.dir) <= MAX_PACKS {
            return Ok(());
        }
        remove_dir(self.dir).map_err(|error| with_path(self.dir, &error))?;
        private_file::create_dir(self.dir).map_err(|error| with_path(self.dir, &error))?;
        let mut git = self.git();
        git.args(["init", "--quiet", "--bare", "--template=", "--object-format=sha1"]);
        let output = run(git, MAX_OUTPUT).await?;
        if output.status.success() { Ok(()) } else { Err(io::Error::other(last_message(&output))) }
    }

    /// Replaces a damaged cache by fetching all commits again.
    async fn refetch_all(&self) -> Result<(), ResolveError> {
        self.quarantine("its history is incomplete")?;
        self.fetch(&ALL_REFS).await
    }

    /// Quarantines a damaged cache.
    pub(super) fn quarantine(&self, message: &str) -> Result<(), ResolveError> {
        let cache = self.dir.display();
        tracing::warn!(%cache, reason = message, "commit cache is damaged: quarantined it, fetching again");
        let moved = quarantine(self.dir).map(drop);
        moved.map_err(|error| self.failed(with_path(self.dir, &error)))
    }

    /// The error for a cache that is damaged although it was just fetched. Removes the cache.
    pub(super) fn damaged(&self, message: &str) -> ResolveError {
        let removed = remove_dir(self.dir).map_or_else(|error| format!("; {error}"), |()| String::new());
        let what = format!("{} is damaged: {message}{removed}", self.dir.display());
        self.failed(io::Error::other(what))
    }

    pub(super) fn failed(&self, source: io::Error) -> ResolveError {
        self.remote.failed(self.revision, source)
    }
}

/// The result of a lookup in the cache.
enum Lookup<T> {
    Found(T),
    /// The cache is damaged. Holds git's message.
    Damaged(String),
}

pub(super) fn last_message(output: &ProcessOutput) -> String {
    last_lines(&output.stderr).unwrap_or_else(|| format!("git ended with {}", output.status))
}

/// Adds the path, and hides the kind: `NotFound` would read as a missing git.
fn with_path(path: &Path, error: &io::Error) -> io::Error {
    io::Error::other(format!("{}: {error}", path.display()))
}

fn write_marker(marker: &Path) -> io::Result<()> {
    File::create(marker)?.sync_all()?;
    File::open(marker.parent().unwrap_or(Path::new("/")))?.sync_all()
}

fn packs(dir: &Path) -> usize {
    let files = fs::read_dir(dir.join("objects/pack")).into_iter().flatten().flatten();
    files.filter(|file| file.path().extension().is_some_and(|kind| kind == "pack")).count()
}
