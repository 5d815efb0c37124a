//! An update from beginning to end.

use super::build::Builds;
use super::error::{Ground, UpdateError};
use super::forge::{Forge, Wanted};
use super::lock::local_repositories;
use super::news::{News, Outcome, State};
use super::order::Order;
use super::pull_request::Text;
use super::repository::{Repository, step};
use super::work::Work;
use crate::nix::{FlakeAttr, Nix, Sandbox};
use crate::protocol::{BuildHost, ErrorCode, Name, PhaseState};
use crate::temporary::Temporary;
use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::future::Future;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How often all is begun again because the base branch has moved meanwhile.
const TRIES: usize = 3;
/// The part of the temporary folder that nix may write to.
const OPEN: &str = "open";

/// Makes an update. What happens is told on the way. Once `stop` is cancelled the builds are ended and nothing more is
/// begun.
pub async fn update(
    order: &Order,
    tell: &mut dyn FnMut(News),
    stop: &CancellationToken,
) -> Result<Outcome, UpdateError> {
    let temporary = Temporary::new("homelab-deploy-flake-update").map_err(|error| {
        step(
            "make a temporary folder",
            &error.to_string(),
            "give TMPDIR a folder that can be written",
            Ground::Local,
        )
    })?;
    let mut run = Run::begin(order, temporary, stop).await?;
    for _ in 0..TRIES {
        if let Some(outcome) = run.attempt(tell).await? {
            return Ok(outcome);
        }
        tell(News::Moved { base: run.base().to_owned() });
    }
    let doing = format!("push {} to {}", run.base(), run.repository.shown);
    let why = format!("it moved {TRIES} times while the hosts were built");
    Err(step(&doing, &why, "nothing was pushed; run again when it is calmer", Ground::Link))
}

/// Everything but what changes from one attempt to the next.
struct Run<'a> {
    order: &'a Order,
    stop: &'a CancellationToken,
    repository: Repository,
    forge: Option<Forge>,
    branch: String,
    attempts: usize,
    temporary: Temporary,
    sandbox: Option<Sandbox>,
}

/// An update that is made, and what its hosts make of it.
struct Made {
    work: Work,
    /// In its sandbox.
    nix: Nix,
    before: String,
    commit: String,
    message: String,
    hosts: Vec<BuildHost>,
    /// What the flake calls them.
    attrs: BTreeMap<Name, FlakeAttr>,
    skipped: Vec<String>,
    /// Why the hosts could not be listed.
    unlisted: Option<String>,
    /// The tip of the branch that an earlier run has pushed.
    earlier: Option<String>,
}

impl<'a> Run<'a> {
    async fn begin(
        order: &'a Order,
        temporary: Temporary,
        stop: &'a CancellationToken,
    ) -> Result<Self, UpdateError> {
        let mut repository = Repository::open(order, temporary.path()).await?;
        let forge = order.forge.as_ref().map(|forge| Forge::find(forge, &repository.place)).transpose()?;
        if let Some(forge) = &forge {
            repository.give_token(order, &forge.place);
        }
        let branch = format!("flake-update/{}", jiff::Zoned::now().date());
        // Beside it lies the clone, whose settings may hold a password.
        let open = temporary.path().join(OPEN);
        let made = DirBuilder::new().mode(0o700).create(&open);
        made.map_err(|error| step("make a temporary folder", &error.to_string(), "", Ground::Local))?;
        let sandbox = order.sandbox.clone().map(|sandbox| sandbox.writing(open));
        Ok(Self { order, stop, repository, forge, branch, attempts: 0, temporary, sandbox })
    }

    /// Where nix may write.
    fn open(&self) -> PathBuf {
        self.temporary.path().join(OPEN)
    }

    fn base(&self) -> &str {
        self.order.base.as_str()
    }

    /// `None` where the base branch has moved meanwhile.
    async fn attempt(&mut self, tell: &mut dyn FnMut(News)) -> Result<Option<Outcome>, UpdateError> {
        self.attempts += 1;
        let prepared = self.unless_stopped("nothing was pushed", self.prepare(tell)).await?;
        let mut made = match prepared {
            Prepared::Current(outcome) => return Ok(Some(*outcome)),
            Prepared::Made(made) => *made,
        };
        if made.unlisted.is_none() {
            self.build(&mut made, tell).await?;
        }
        let fails = made.unlisted.is_some() || made.hosts.iter().any(|host| host.state != PhaseState::Done);
        let state = if fails { State::Failed } else { State::Updated };
        if self.order.dry_run {
            return Ok(Some(self.outcome(state, made)));
        }
        let left = "run again: whatever was pushed is taken up";
        if fails {
            return self.unless_stopped(left, self.ask_for_help(made, tell)).await.map(Some);
        }
        self.unless_stopped(left, self.move_on(made, tell)).await
    }

    /// Fetches the base branch and updates the inputs on top of it.
    async fn prepare(&self, tell: &mut dyn FnMut(News)) -> Result<Prepared, UpdateError> {
        let repository = &self.repository;
        let [before, earlier] = repository.heads([self.base(), &self.branch]).await?;
        let Some(before) = before else { return Err(repository.no_base(self.base()).await) };
        repository.fetch(self.base(), &before).await?;
        repository.check_pushed(self.base(), &before).await?;
        if let Some(tip) = &earlier {
            repository.fetch(&self.branch, tip).await?;
            if !repository.is_ours(tip, &before).await {
                let (branch, remote) = (self.branch.clone(), repository.shown.clone());
                return Err(UpdateError::Foreign { branch, remote });
            }
        }
        tell(News::Fetched { base: self.base().to_owned(), commit: before.clone() });
        repository.check_files(&before).await?;
        let folder = self.open().join(format!("work-{}", self.attempts));
        let own_inputs = local_repositories(&repository.lock(&before).await);
        let sandbox =
            self.sandbox.clone().map(|sandbox| own_inputs.into_iter().fold(sandbox, Sandbox::reading));
        let nix = self.order.nix.clone().within(sandbox.clone());
        let work = Work::make(&folder, repository, &self.branch, &before, sandbox).await?;
        let Some(commit) = work.update(&nix, repository, &before).await? else {
            if !self.order.dry_run {
                self.clear_away(earlier.as_deref(), &before, tell).await;
            }
            return Ok(Prepared::Current(Box::new(self.current(before))));
        };
        work.check_lock(repository, &before, &commit).await?;
        let message = repository.secrets.blot(&work.message().await);
        let (branch, made) = (self.branch.clone(), commit.clone());
        tell(News::Updated { branch, commit: made, message: message.clone() });
        let (hosts, attrs, skipped, unlisted) = (Vec::new(), BTreeMap::new(), Vec::new(), None);
        let mut made = Made { work, nix, before, commit, message, hosts, attrs, skipped, unlisted, earlier };
        self.list(&mut made).await?;
        Ok(Prepared::Made(Box::new(made)))
    }

    /// Lists the hosts; they are pending from here on.
    async fn list(&self, made: &mut Made) -> Result<(), UpdateError> {
        let (flake, locked) = made.work.flake(&self.repository.subflake, &made.commit)?;
        let listing = made.nix.hosts(&flake, &locked, self.stop);
        // Dropped, it ends nix too. That the flake cannot be evaluated is something the update has broken as well.
        let Ok(listed) = timeout(self.order.timeout, listing).await else {
            let limit = self.order.timeout.as_secs();
            made.unlisted = Some(format!("nix did not come to an end within {limit} s"));
            return Ok(());
        };
        let hosts = match listed {
            Ok(hosts) => hosts,
            Err(error) if error.code() == ErrorCode::EvaluationFailed => {
                made.unlisted = Some(self.repository.secrets.blot(&error.to_string()));
                return Ok(());
            }
            Err(error) => {
                let (doing, left) = ("list the hosts of the update", "nothing was pushed; run again");
                let why = self.repository.secrets.blot(&error.to_string());
                return Err(step(doing, &why, left, Ground::Local));
            }
        };
        if hosts.names.is_empty() {
            let skipped = hosts.skipped.join(", ");
            let skipped =
                if skipped.is_empty() { skipped } else { format!(" but {skipped}, which is no name") };
            let repo = self.repository.checkout.clone().unwrap_or_else(|| self.repository.shown.clone());
            return Err(UpdateError::NoHosts { repo, skipped });
        }
        made.hosts = hosts.names.keys().cloned().map(BuildHost::pending).collect();
        made.attrs = hosts.names;
        made.skipped = hosts.skipped;
        Ok(())
    }

    async fn build(&self, made: &mut Made, tell: &mut dyn FnMut(News)) -> Result<(), UpdateError> {
        let hosts = made.attrs.keys().map(ToString::to_string).collect();
        tell(News::Building { hosts, skipped: made.skipped.clone() });
        let (flake, locked) = made.work.flake(&self.repository.subflake, &made.commit)?;
        let (order, folder) = (self.order, self.open());
        let (nix, folder, secrets) = (&made.nix, folder.as_path(), &self.repository.secrets);
        let builds = Builds { nix, flake, locked, folder, secrets, timeout: order.timeout, stop: self.stop };
        made.hosts = builds.all(&made.attrs, order.parallel, &mut *tell).await;
        if self.stop.is_cancelled() {
            return Err(UpdateError::Interrupted("nothing was pushed".to_owned()));
        }
        Ok(())
    }

    /// Every host builds: the base branch moves on.
    async fn move_on(&self, made: Made, tell: &mut dyn FnMut(News)) -> Result<Option<Outcome>, UpdateError> {
        let (repository, base, commit) = (&self.repository, self.base(), made.commit.as_str());
        repository.take(&made.work, commit).await?;
        let [now] = repository.heads([base]).await?;
        if now.as_deref() != Some(&made.before) {
            return Ok(None);
        }
        if let Err(error) = repository.push(Some(commit), base, None).await {
            let now = repository.heads([base]).await;
            match now.ok().and_then(|[now]| now) {
                // The answer was lost, not the push.
                Some(now) if now == commit => {}
                Some(now) if now != made.before => return Ok(None),
                _ => {
                    let left = format!("every host builds; {}", repository.keep(&self.branch, commit).await);
                    let doing = format!("push {base} to {}", repository.shown);
                    let why = repository.secrets.blot(&error.to_string());
                    return Err(step(&doing, &why, &left, Ground::Link));
                }
            }
        }
        tell(News::Pushed { branch: base.to_owned(), commit: commit.to_owned() });
        self.clear_away(made.earlier.as_deref(), commit, tell).await;
        let mut outcome = self.outcome(State::Updated, made);
        outcome.pushed = Some(base.to_owned());
        Ok(Some(outcome))
    }

    /// Some host does not build: the branch is pushed, and a pull request asks for help.
    async fn ask_for_help(&self, made: Made, tell: &mut dyn FnMut(News)) -> Result<Outcome, UpdateError> {
        let (repository, branch) = (&self.repository, self.branch.as_str());
        repository.take(&made.work, &made.commit).await?;
        let lease = made.earlier.as_deref().unwrap_or_default();
        if let Err(error) = repository.push(Some(&made.commit), branch, Some(lease)).await {
            let left = repository.keep(branch, &made.commit).await;
            let doing = format!("push {branch} to {}", repository.shown);
            let why = repository.secrets.blot(&error.to_string());
            return Err(step(&doing, &why, &left, Ground::Link));
        }
        repository.forget(branch, &made.before).await;
        tell(News::Pushed { branch: branch.to_owned(), commit: made.commit.clone() });
        let text = Text {
            base: self.base(),
            before: &made.before,
            branch,
            message: &made.message,
            hosts: &made.hosts,
            unlisted: made.unlisted.as_deref(),
        };
        let (title, body) = (text.title(), text.body());
        let wanted = Wanted { base: self.base(), branch, title, body, label: &self.order.label };
        let (mut pull_request, mut left) = (None, None);
        match &self.forge {
            None => {
                left = Some(format!(
                    "no pull request was opened, for there is no --token-file; open one from {branch} into {}",
                    self.base()
                ));
            }
            Some(forge) => match forge.open(&wanted).await {
                Ok((opened, unlabelled)) => {
                    if let Some(error) = unlabelled {
                        let label = &self.order.label;
                        tell(News::Note(format!("could not give it the label {label}: {error}")));
                    }
                    pull_request = Some(opened);
                }
                Err(error) => {
                    let doing = format!("open a pull request from {branch} into {}", self.base());
                    let left = format!(
                        "{branch} is pushed to {}: open the pull request there, or run again",
                        repository.shown
                    );
                    return Err(step(&doing, &error.to_string(), &left, Ground::Link));
                }
            },
        }
        let mut outcome = self.outcome(State::Failed, made);
        (outcome.pushed, outcome.pull_request, outcome.left) = (Some(branch.to_owned()), pull_request, left);
        Ok(outcome)
    }

    /// Removes what an earlier run of today has left; a pull request of it is closed by that.
    async fn clear_away(&self, earlier: Option<&str>, base: &str, tell: &mut dyn FnMut(News)) {
        if let Some(tip) = earlier {
            let (branch, remote) = (&self.branch, &self.repository.shown);
            tell(News::Note(match self.repository.push(None, branch, Some(tip)).await {
                Ok(()) => format!("deleted {branch} on {remote}, which an earlier run had left"),
                Err(error) => {
                    let why = self.repository.secrets.blot(&error.to_string());
                    format!("could not delete {branch} on {remote}: {why}; delete it there")
                }
            }));
        }
        self.repository.forget(&self.branch, base).await;
    }

    async fn unless_stopped<T>(
        &self,
        left: &str,
        work: impl Future<Output = Result<T, UpdateError>>,
    ) -> Result<T, UpdateError> {
        tokio::select! {
            done = work => done,
            () = self.stop.cancelled() => Err(UpdateError::Interrupted(left.to_owned())),
        }
    }

    fn current(&self, before: String) -> Outcome {
        Outcome {
            state: State::Current,
            dry_run: self.order.dry_run,
            base: self.base().to_owned(),
            branch: self.branch.clone(),
            before,
            commit: None,
            hosts: Vec::new(),
            skipped: Vec::new(),
            pushed: None,
            pull_request: None,
            left: None,
            unlisted: None,
        }
    }

    fn outcome(&self, state: State, made: Made) -> Outcome {
        let (commit, hosts, skipped) = (Some(made.commit), made.hosts, made.skipped);
        Outcome { state, commit, hosts, skipped, unlisted: made.unlisted, ..self.current(made.before) }
    }
}

/// What came of the inputs.
enum Prepared {
    /// There is nothing to update.
    Current(Box<Outcome>),
    /// They have changed.
    Made(Box<Made>),
}
