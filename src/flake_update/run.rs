//! Runs an update from start to end.

use super::build::HostBuilds;
use super::error::{FailureKind, FlakeUpdateError};
use super::event::{FlakeUpdateEvent, FlakeUpdateResult, FlakeUpdateState};
use super::forge::{ForgeRepository, PullRequestSpec};
use super::lock::local_repositories;
use super::options::FlakeUpdateOptions;
use super::pull_request::PullRequestText;
use super::repository::{Repository, step_error};
use super::worktree::Worktree;
use crate::nix::{FlakeAttr, Nix};
use crate::private_file;
use crate::protocol::{BuildHost, ErrorCode, Name, PhaseState};
use crate::sandbox::Sandbox;
use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::future::Future;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use tempfile::TempDir;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Maximum number of attempts. An attempt is repeated if the base branch moved during it.
const MAX_ATTEMPTS: usize = 3;
/// The subdirectory of the temporary directory that nix may write to.
const WRITABLE_DIR: &str = "open";

/// Runs an update and reports its progress. If `stop` is cancelled, the builds are stopped and no further step starts.
pub async fn update(
    options: &FlakeUpdateOptions,
    report: &mut dyn FnMut(FlakeUpdateEvent),
    stop: &CancellationToken,
) -> Result<FlakeUpdateResult, FlakeUpdateError> {
    let temporary = private_file::temporary_dir("homelab-deploy-flake-update").map_err(|error| {
        step_error(
            "create a temporary directory",
            &error.to_string(),
            "set TMPDIR to a writable directory",
            FailureKind::Local,
        )
    })?;
    let mut run = FlakeUpdateRun::new(options, temporary, stop).await?;
    for _ in 0..MAX_ATTEMPTS {
        if let Some(result) = run.attempt(report).await? {
            return Ok(result);
        }
        report(FlakeUpdateEvent::Moved { base: run.base().to_owned() });
    }
    let operation = format!("push {} to {}", run.base(), run.repository.shown);
    let reason = format!("it moved {MAX_ATTEMPTS} times while the hosts were built");
    Err(step_error(
        &operation,
        &reason,
        "nothing was pushed; run again when fewer commits are pushed",
        FailureKind::Remote,
    ))
}

/// The state of a run that is shared by all attempts.
struct FlakeUpdateRun<'a> {
    options: &'a FlakeUpdateOptions,
    stop: &'a CancellationToken,
    repository: Repository,
    forge: Option<ForgeRepository>,
    branch: String,
    attempts: usize,
    temporary: TempDir,
    sandbox: Option<Sandbox>,
}

/// A committed update with its build results.
struct PreparedUpdate {
    worktree: Worktree,
    /// nix, in the sandbox of this update.
    nix: Nix,
    before: String,
    commit: String,
    message: String,
    hosts: Vec<BuildHost>,
    /// The attribute names of the hosts.
    attrs: BTreeMap<Name, FlakeAttr>,
    skipped: Vec<String>,
    /// Why the hosts could not be listed.
    list_error: Option<String>,
    /// The tip of the update branch that an earlier run of today pushed.
    earlier: Option<String>,
}

impl<'a> FlakeUpdateRun<'a> {
    async fn new(
        options: &'a FlakeUpdateOptions,
        temporary: TempDir,
        stop: &'a CancellationToken,
    ) -> Result<Self, FlakeUpdateError> {
        let mut repository = Repository::open(options, temporary.path()).await?;
        let forge = options
            .forge
            .as_ref()
            .map(|forge| ForgeRepository::find(forge, &repository.remote_url))
            .transpose()?;
        if let Some(forge) = &forge {
            repository.use_token(options, &forge.web_url);
        }
        let branch = format!("flake-update/{}", jiff::Zoned::now().date());
        // A separate directory, because the temporary clone next to it may have a password in its configuration.
        let writable_dir = temporary.path().join(WRITABLE_DIR);
        let created = DirBuilder::new().mode(0o700).create(&writable_dir);
        created.map_err(|error| {
            step_error("create a temporary directory", &error.to_string(), "", FailureKind::Local)
        })?;
        let sandbox = options.sandbox.clone().map(|sandbox| sandbox.with_writable(writable_dir));
        Ok(Self { options, stop, repository, forge, branch, attempts: 0, temporary, sandbox })
    }

    /// The directory that nix may write to.
    fn writable_dir(&self) -> PathBuf {
        self.temporary.path().join(WRITABLE_DIR)
    }

    fn base(&self) -> &str {
        self.options.base.as_str()
    }

    /// Runs one attempt. `None` if the base branch moved during it.
    async fn attempt(
        &mut self,
        report: &mut dyn FnMut(FlakeUpdateEvent),
    ) -> Result<Option<FlakeUpdateResult>, FlakeUpdateError> {
        self.attempts += 1;
        let preparation = self.or_interrupted("nothing was pushed", self.prepare(report)).await?;
        let mut prepared = match preparation {
            Preparation::Current(result) => return Ok(Some(*result)),
            Preparation::Changed(prepared) => *prepared,
        };
        if prepared.list_error.is_none() {
            self.build(&mut prepared, report).await?;
        }
        let fails =
            prepared.list_error.is_some() || prepared.hosts.iter().any(|host| host.state != PhaseState::Done);
        let state = if fails { FlakeUpdateState::Failed } else { FlakeUpdateState::Updated };
        if self.options.dry_run {
            return Ok(Some(self.result(state, prepared)));
        }
        let next_step = "run again: it continues with what was pushed";
        if fails {
            return self.or_interrupted(next_step, self.open_pull_request(prepared, report)).await.map(Some);
        }
        self.or_interrupted(next_step, self.push_base(prepared, report)).await
    }

    /// Fetches the base branch and updates the inputs on top of it.
    async fn prepare(
        &self,
        report: &mut dyn FnMut(FlakeUpdateEvent),
    ) -> Result<Preparation, FlakeUpdateError> {
        let repository = &self.repository;
        let [before, earlier] = repository.heads([self.base(), &self.branch]).await?;
        let Some(before) = before else { return Err(repository.no_base(self.base()).await) };
        repository.fetch(self.base(), &before).await?;
        repository.check_pushed(self.base(), &before).await?;
        if let Some(tip) = &earlier {
            repository.fetch(&self.branch, tip).await?;
            if !repository.is_ours(tip, &before).await {
                let (branch, remote) = (self.branch.clone(), repository.shown.clone());
                return Err(FlakeUpdateError::BranchModified { branch, remote });
            }
        }
        report(FlakeUpdateEvent::Fetched { base: self.base().to_owned(), commit: before.clone() });
        repository.check_files(&before).await?;
        repository.check_submodules(&before).await?;
        let dir = self.writable_dir().join(format!("work-{}", self.attempts));
        let own_inputs = local_repositories(&repository.lock(&before).await);
        let sandbox =
            self.sandbox.clone().map(|sandbox| own_inputs.into_iter().fold(sandbox, Sandbox::with_readable));
        let nix = self.options.nix.clone().with_sandbox(sandbox.clone());
        let worktree = Worktree::create(&dir, repository, &self.branch, &before, sandbox).await?;
        let Some(commit) = worktree.update(&nix, repository, &before).await? else {
            if !self.options.dry_run {
                self.delete_earlier(earlier.as_deref(), &before, report).await;
            }
            return Ok(Preparation::Current(Box::new(self.current(before))));
        };
        worktree.check_lock(repository, &before, &commit).await?;
        let message = repository.secrets.redact(&worktree.message().await);
        let (branch, updated) = (self.branch.clone(), commit.clone());
        report(FlakeUpdateEvent::Updated { branch, commit: updated, message: message.clone() });
        let (hosts, attrs, skipped, list_error) = (Vec::new(), BTreeMap::new(), Vec::new(), None);
        let mut prepared = PreparedUpdate {
            worktree,
            nix,
            before,
            commit,
            message,
            hosts,
            attrs,
            skipped,
            list_error,
            earlier,
        };
        self.list(&mut prepared).await?;
        Ok(Preparation::Changed(Box::new(prepared)))
    }

    /// Lists the hosts and sets them to pending.
    async fn list(&self, prepared: &mut PreparedUpdate) -> Result<(), FlakeUpdateError> {
        let (flake, locked) = prepared.worktree.flake(&self.repository.subflake, &prepared.commit)?;
        let listing = prepared.nix.hosts(&flake, &locked, self.stop);
        // Dropping the listing stops nix. A flake that does not evaluate is reported like a host that does not build.
        let Ok(listed) = timeout(self.options.timeout, listing).await else {
            let limit = self.options.timeout.as_secs();
            prepared.list_error = Some(format!("nix did not finish within {limit} s"));
            return Ok(());
        };
        let hosts = match listed {
            Ok(hosts) => hosts,
            Err(error) if error.code() == ErrorCode::EvaluationFailed => {
                prepared.list_error = Some(self.repository.secrets.redact(&error.to_string()));
                return Ok(());
            }
            Err(error) => {
                let (operation, next_step) =
                    ("list the hosts of the update", "nothing was pushed; run again");
                let reason = self.repository.secrets.redact(&error.to_string());
                return Err(step_error(operation, &reason, next_step, FailureKind::Local));
            }
        };
        if hosts.names.is_empty() {
            let skipped = hosts.skipped.join(", ");
            let skipped = if skipped.is_empty() {
                skipped
            } else {
                format!(" but {skipped}, which is not a valid name")
            };
            let repo = self.repository.checkout.clone().unwrap_or_else(|| self.repository.shown.clone());
            return Err(FlakeUpdateError::NoHosts { repo, skipped });
        }
        prepared.hosts = hosts.names.keys().cloned().map(BuildHost::pending).collect();
        prepared.attrs = hosts.names;
        prepared.skipped = hosts.skipped;
        Ok(())
    }

    async fn build(
        &self,
        prepared: &mut PreparedUpdate,
        report: &mut dyn FnMut(FlakeUpdateEvent),
    ) -> Result<(), FlakeUpdateError> {
        let hosts = prepared.attrs.keys().map(ToString::to_string).collect();
        report(FlakeUpdateEvent::Building { hosts, skipped: prepared.skipped.clone() });
        let (flake, locked) = prepared.worktree.flake(&self.repository.subflake, &prepared.commit)?;
        let (options, dir) = (self.options, self.writable_dir());
        let (nix, dir, secrets) = (&prepared.nix, dir.as_path(), &self.repository.secrets);
        let host_builds =
            HostBuilds { nix, flake, locked, dir, secrets, timeout: options.timeout, stop: self.stop };
        prepared.hosts = host_builds.build_all(&prepared.attrs, options.parallel, &mut *report).await;
        if self.stop.is_cancelled() {
            return Err(FlakeUpdateError::Interrupted("nothing was pushed".to_owned()));
        }
        Ok(())
    }

    /// Pushes the update to the base branch, after all hosts were built.
    async fn push_base(
        &self,
        prepared: PreparedUpdate,
        report: &mut dyn FnMut(FlakeUpdateEvent),
    ) -> Result<Option<FlakeUpdateResult>, FlakeUpdateError> {
        let (repository, base, commit) = (&self.repository, self.base(), prepared.commit.as_str());
        repository.fetch_from(&prepared.worktree, commit).await?;
        let [now] = repository.heads([base]).await?;
        if now.as_deref() != Some(&prepared.before) {
            return Ok(None);
        }
        if let Err(error) = repository.push(Some(commit), base, None).await {
            let now = repository.heads([base]).await;
            match now.ok().and_then(|[now]| now) {
                // The push succeeded, but its response was lost.
                Some(now) if now == commit => {}
                Some(now) if now != prepared.before => return Ok(None),
                _ => {
                    let next_step =
                        format!("every host builds; {}", repository.keep_branch(&self.branch, commit).await);
                    let operation = format!("push {base} to {}", repository.shown);
                    let reason = repository.secrets.redact(&error.to_string());
                    return Err(step_error(&operation, &reason, &next_step, FailureKind::Remote));
                }
            }
        }
        report(FlakeUpdateEvent::Pushed { branch: base.to_owned(), commit: commit.to_owned() });
        self.delete_earlier(prepared.earlier.as_deref(), commit, report).await;
        let mut result = self.result(FlakeUpdateState::Updated, prepared);
        result.pushed = Some(base.to_owned());
        Ok(Some(result))
    }

    /// Pushes the update branch and opens a pull request, because a host does not build.
    async fn open_pull_request(
        &self,
        prepared: PreparedUpdate,
        report: &mut dyn FnMut(FlakeUpdateEvent),
    ) -> Result<FlakeUpdateResult, FlakeUpdateError> {
        let (repository, branch) = (&self.repository, self.branch.as_str());
        repository.fetch_from(&prepared.worktree, &prepared.commit).await?;
        let lease = prepared.earlier.as_deref().unwrap_or_default();
        if let Err(error) = repository.push(Some(&prepared.commit), branch, Some(lease)).await {
            let next_step = repository.keep_branch(branch, &prepared.commit).await;
            let operation = format!("push {branch} to {}", repository.shown);
            let reason = repository.secrets.redact(&error.to_string());
            return Err(step_error(&operation, &reason, &next_step, FailureKind::Remote));
        }
        repository.delete_local_branch(branch, &prepared.before).await;
        report(FlakeUpdateEvent::Pushed { branch: branch.to_owned(), commit: prepared.commit.clone() });
        let text = PullRequestText {
            base: self.base(),
            before: &prepared.before,
            branch,
            message: &prepared.message,
            hosts: &prepared.hosts,
            list_error: prepared.list_error.as_deref(),
        };
        let (title, body) = (text.title(), text.body());
        let spec = PullRequestSpec { base: self.base(), branch, title, body, label: &self.options.label };
        let (mut pull_request, mut no_pull_request_reason) = (None, None);
        match &self.forge {
            None => {
                no_pull_request_reason = Some(format!(
                    "no pull request was opened because --token-file is not set; open one from {branch} into {}",
                    self.base()
                ));
            }
            Some(forge) => match forge.open(&spec).await {
                Ok((opened, label_error)) => {
                    if let Some(error) = label_error {
                        let label = &self.options.label;
                        report(FlakeUpdateEvent::Note(format!(
                            "could not add the label {label} to the pull request: {error}"
                        )));
                    }
                    pull_request = Some(opened);
                }
                Err(error) => {
                    let operation = format!("open a pull request from {branch} into {}", self.base());
                    let next_step = format!(
                        "{branch} is pushed to {}: open the pull request there, or run again",
                        repository.shown
                    );
                    return Err(step_error(&operation, &error.to_string(), &next_step, FailureKind::Remote));
                }
            },
        }
        let mut result = self.result(FlakeUpdateState::Failed, prepared);
        (result.pushed, result.pull_request, result.no_pull_request_reason) =
            (Some(branch.to_owned()), pull_request, no_pull_request_reason);
        Ok(result)
    }

    /// Deletes the branch of an earlier run of today, which also closes its pull request.
    async fn delete_earlier(
        &self,
        earlier: Option<&str>,
        base: &str,
        report: &mut dyn FnMut(FlakeUpdateEvent),
    ) {
        if let Some(tip) = earlier {
            let (branch, remote) = (&self.branch, &self.repository.shown);
            report(FlakeUpdateEvent::Note(match self.repository.push(None, branch, Some(tip)).await {
                Ok(()) => format!("deleted {branch} of an earlier run on {remote}"),
                Err(error) => {
                    let reason = self.repository.secrets.redact(&error.to_string());
                    format!("could not delete {branch} on {remote}: {reason}; delete it there")
                }
            }));
        }
        self.repository.delete_local_branch(&self.branch, base).await;
    }

    async fn or_interrupted<T>(
        &self,
        next_step: &str,
        work: impl Future<Output = Result<T, FlakeUpdateError>>,
    ) -> Result<T, FlakeUpdateError> {
        tokio::select! {
            done = work => done,
            () = self.stop.cancelled() => Err(FlakeUpdateError::Interrupted(next_step.to_owned())),
        }
    }

    fn current(&self, before: String) -> FlakeUpdateResult {
        FlakeUpdateResult {
            state: FlakeUpdateState::Current,
            dry_run: self.options.dry_run,
            base: self.base().to_owned(),
            branch: self.branch.clone(),
            before,
            commit: None,
            hosts: Vec::new(),
            skipped: Vec::new(),
            pushed: None,
            pull_request: None,
            no_pull_request_reason: None,
            list_error: None,
        }
    }

    fn result(&self, state: FlakeUpdateState, prepared: PreparedUpdate) -> FlakeUpdateResult {
        let (commit, hosts, skipped) = (Some(prepared.commit), prepared.hosts, prepared.skipped);
        FlakeUpdateResult {
            state,
            commit,
            hosts,
            skipped,
            list_error: prepared.list_error,
            ..self.current(prepared.before)
        }
    }
}

/// The result of updating the inputs.
enum Preparation {
    /// There is nothing to update.
    Current(Box<FlakeUpdateResult>),
    /// The inputs were updated.
    Changed(Box<PreparedUpdate>),
}
