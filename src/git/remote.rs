//! A remote repository: how git reaches it, and which commits its branches and tags have.

use super::commit_choice::check_commit;
use super::failure::{is_denied, last_lines, read_advice};
use super::refs::{HEAD, Refs};
use super::{CommitChoice, Credentials, HostedRepository, ResolveError, Secrets, is_loopback, ssh};
use crate::protocol::Revision;
use crate::unattended::{ProcessLimits, ProcessOutput, captured, run_with_limits};
use std::io;
use tokio::process::Command;

/// Maximum size of the list of all branches and tags, in bytes. Enough for about a hundred thousand refs.
const MAX_LIST: u64 = 8 << 20;
/// Maximum size of the reply for one name, in bytes. It needs a few hundred, but an untrusted host may have supplied the URL.
const MAX_REPLY: u64 = 1 << 20;
/// Maximum address space of git, in bytes. git keeps all refs that a server lists in memory.
const MAX_MEMORY: u64 = 1 << 30;

/// A remote repository.
#[derive(Clone)]
pub struct Remote {
    /// The URL for git, without credentials.
    pub url: String,
    /// The URL for messages, without credentials.
    pub shown: String,
    /// The credentials for the server.
    pub credentials: Credentials,
    /// The repository's place on a forge. nix may have an access token for it.
    pub hosted: Option<HostedRepository>,
}

impl Remote {
    /// Looks up the commit of a branch, or else of a tag. A revision that is a commit is returned as it is.
    ///
    /// There is no timeout; dropping the future kills git and all its descendants.
    pub async fn head(&self, revision: &Revision) -> Result<String, ResolveError> {
        let name = revision.as_str();
        if revision.is_commit() {
            return Ok(name.to_owned());
        }
        let [branch, tag] = ["heads", "tags"].map(|kind| format!("refs/{kind}/{name}"));
        let tagged_commit = format!("{tag}^{{}}");
        // HEAD is looked up too: the revision may be HEAD, or the error suggests the default branch.
        let names = [HEAD, &branch, &tag, &tagged_commit];
        let listing = self.list(revision, &names, MAX_REPLY, "its reply for one name").await?;
        let refs = Refs::parse(&listing);
        let found = refs.branch(name).map(|(_, commit)| commit).or(refs.tags.get(name).map(String::as_str));
        found.map(str::to_owned).ok_or_else(|| self.unknown_revision(revision, refs.advice(name)))
    }

    /// Chooses `commit`, or without one the commit that `revision` currently has.
    ///
    /// If `commit` is given, `revision` only helps to fetch it. There is no timeout: drop the future to cancel.
    pub async fn resolve(
        &self,
        revision: &Revision,
        commit: Option<&str>,
    ) -> Result<CommitChoice, ResolveError> {
        check_commit(commit)?;
        CommitChoice::of(&self.refs(revision).await?, self, revision, commit)
    }

    /// Lists all branches and tags. Dropping the future kills git and all its descendants.
    pub(super) async fn refs(&self, revision: &Revision) -> Result<Refs, ResolveError> {
        let names = [HEAD, "refs/heads/*", "refs/tags/*"];
        let listing = self.list(revision, &names, MAX_LIST, "its list of branches and tags").await?;
        Ok(Refs::parse(&listing))
    }

    /// Lists the named refs with `git ls-remote`, which always queries the remote and never a cache.
    async fn list(
        &self,
        revision: &Revision,
        names: &[&str],
        max: u64,
        what: &str,
    ) -> Result<String, ResolveError> {
        let git = || {
            let mut git = captured("git");
            git.args(["ls-remote", "--symref", "--", &self.url]).args(names);
            git
        };
        let limits = ProcessLimits { output: max, memory: Some(MAX_MEMORY) };
        let output = self.run(git, limits).await.map_err(|error| self.failed(revision, error))?;
        if output.stdout.len() as u64 >= max {
            return Err(ResolveError::Unreachable {
                revision: revision.to_string(),
                remote: self.shown.clone(),
                message: format!("{what} is longer than {} MiB", max >> 20),
                advice: "remove branches and tags that are not needed",
            });
        }
        if !output.status.success() {
            return Err(self.unreachable(revision, &output));
        }
        Ok(output.stdout)
    }

    /// Runs git with the credentials, and redacts them in its messages. If access is denied, git runs once more with nix's access
    /// token for the repository. It runs without the token first because it may have its own credentials, and a public repository
    /// needs none.
    pub(super) async fn run(
        &self,
        git: impl Fn() -> Command,
        limits: ProcessLimits,
    ) -> io::Result<ProcessOutput> {
        let output = self.run_once(git(), limits).await?;
        let denied = is_denied(&output.stderr) || output.stderr.contains("not found");
        if !output.status.success()
            && denied
            && let Some(hosted) = &self.hosted
            && let Some(token) = hosted.access_token().await
        {
            return self.with_token(hosted, &token).run_once(git(), limits).await;
        }
        Ok(output)
    }

    async fn run_once(&self, mut git: Command, limits: ProcessLimits) -> io::Result<ProcessOutput> {
        self.credentials.apply_to(&mut git);
        if self.url.starts_with("ssh://") {
            ssh::use_batch_mode(&mut git).await?;
        }
        let mut output = run_with_limits(git, limits).await?;
        output.stderr = self.credentials.redactions().collect::<Secrets>().redact(&output.stderr);
        Ok(output)
    }

    /// The same remote with a token of nix's configuration. git sends the token to no other server.
    fn with_token(&self, hosted: &HostedRepository, token: &str) -> Self {
        let host = &hosted.host;
        let (user, password) = hosted.forge.git_login(token);
        let mut credentials = Credentials::for_origin(&format!("https://{host}"), user, password);
        if is_loopback(host) {
            // Plain HTTP is allowed only on the loopback interface, where the token cannot be intercepted.
            credentials = credentials.with_origin(&format!("http://{host}"));
        }
        Self { credentials: credentials.or(self.credentials.clone()), ..self.clone() }
    }

    /// The error of a git that could not reach the remote.
    pub(super) fn unreachable(&self, revision: &Revision, output: &ProcessOutput) -> ResolveError {
        ResolveError::Unreachable {
            revision: revision.to_string(),
            remote: self.shown.clone(),
            message: last_lines(&output.stderr)
                .unwrap_or_else(|| format!("git ended with {}", output.status)),
            advice: read_advice(&output.stderr, self.hosted.is_some()),
        }
    }

    /// The error of a git that could not be run.
    pub(super) fn failed(&self, revision: &Revision, source: io::Error) -> ResolveError {
        let (revision, remote) = (revision.to_string(), self.shown.clone());
        if source.kind() == io::ErrorKind::NotFound {
            ResolveError::NoGit { revision, remote }
        } else {
            ResolveError::Git { revision, remote, source }
        }
    }

    /// The error of a revision that is neither a branch nor a tag.
    pub(super) fn unknown_revision(&self, revision: &Revision, advice: String) -> ResolveError {
        ResolveError::UnknownRevision { revision: revision.to_string(), remote: self.shown.clone(), advice }
    }
}
