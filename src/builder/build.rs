//! Runs one build: lists the hosts, builds them in parallel and reports progress.

use super::config::{BuildRules, Repo};
use super::engine::BuildEngine;
use super::host_build::{FinishedHost, HostBuild, HostBuildResult, HostFailure};
use super::queue::{BuildKey, is_all};
use super::state::{BuildState, RepoBuildResult, join_names};
use super::store::BuildStore;
use crate::nix::{BuildError, FlakeAttr, FlakeHosts, HostBuildSpec, LockedFlake};
use crate::ordered::CollectOrdered;
use crate::private_file;
use crate::protocol::{ErrorCode, Name, PhaseState};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

/// Minimum time between two reports.
const MIN_GAP: Duration = Duration::from_millis(250);
/// Maximum time between two reports.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(15);
/// Error of a host that was skipped.
const ANOTHER_FAILED: &str = "another host failed";

/// A build that is about to start.
pub(super) struct RepoBuild {
    pub(super) name: Name,
    pub(super) repo: Repo,
    pub(super) locked: LockedFlake,
    pub(super) key: BuildKey,
    /// Whether the commit is the head of the repository's default branch.
    pub(super) is_default: bool,
    pub(super) rules: Arc<BuildRules>,
    pub(super) engine: Arc<dyn BuildEngine>,
    pub(super) store: Arc<BuildStore>,
    pub(super) slots: Arc<Semaphore>,
    /// Cancelled when the builder shuts down.
    pub(super) stop: CancellationToken,
}

/// Work that takes a slot.
enum BuildTask {
    /// List the hosts of the flake.
    List,
    Host(Name),
}

/// The end of a [`BuildTask`].
enum RepoBuildEvent {
    Listed(Result<FlakeHosts, BuildError>),
    Host(FinishedHost),
}

/// A running build.
struct BuildRun {
    build: RepoBuild,
    state: BuildState,
    /// Tasks that have not started, in order.
    waiting: VecDeque<BuildTask>,
    running: JoinSet<RepoBuildEvent>,
    started: BTreeMap<Name, Instant>,
    /// Flake attributes of the hosts, as far as they are known.
    attrs: BTreeMap<Name, FlakeAttr>,
    /// Stops all running tasks.
    stop: CancellationToken,
    timed_out: bool,
    missing: BTreeSet<Name>,
}

/// The final state of a build, and the hosts that the flake does not have.
pub(super) type FinishedBuild = (BuildState, BTreeSet<Name>);

impl RepoBuild {
    /// Runs to the end and sends the state to `reports` from time to time. Returns `None` if the builder was stopped.
    pub(super) async fn run(self, reports: mpsc::Sender<(Name, BuildState)>) -> Option<FinishedBuild> {
        let deadline = sleep_until(Instant::now() + self.rules.timeout);
        tokio::pin!(deadline);
        let slots = self.slots.clone();
        // Kept across iterations: a new future would go to the end of the semaphore's queue.
        let mut slot = Box::pin(slots.clone().acquire_owned());
        let mut run = BuildRun {
            stop: self.stop.child_token(),
            attrs: self.repo.attrs.clone(),
            build: self,
            state: BuildState::default(),
            waiting: VecDeque::new(),
            running: JoinSet::new(),
            started: BTreeMap::new(),
            timed_out: false,
            missing: BTreeSet::new(),
        };
        run.start();
        let mut last = Instant::now();
        let mut next = last;
        while run.has_work() {
            tokio::select! {
                biased;
                () = run.stop.clone().cancelled_owned(), if !run.waiting.is_empty() => run.waiting.clear(),
                Some(ended) = run.running.join_next() => {
                    // A task that crashed leaves its host in the state `Running`, which `finish` turns into a failure.
                    if let Ok(event) = ended {
                        run.on_ended(event);
                    }
                    next = next.min(last + MIN_GAP);
                }
                permit = &mut slot, if !run.waiting.is_empty() => {
                    // The semaphore is never closed.
                    if let Ok(permit) = permit {
                        run.start_next(permit);
                    }
                    slot = Box::pin(slots.clone().acquire_owned());
                    next = next.min(last + MIN_GAP);
                }
                () = &mut deadline, if !run.timed_out => {
                    run.timed_out = true;
                    run.stop.cancel();
                }
                () = sleep_until(next) => {
                    last = Instant::now();
                    // A receiver that is behind gets the next state.
                    let sent = reports.try_send((run.build.name.clone(), run.snapshot()));
                    next = last + if sent.is_ok() { HEARTBEAT } else { MIN_GAP };
                }
            }
        }
        if run.build.stop.is_cancelled() {
            return None;
        }
        Some((run.finish(), run.missing))
    }
}

impl BuildRun {
    fn has_work(&self) -> bool {
        !self.waiting.is_empty() || !self.running.is_empty()
    }

    fn start(&mut self) {
        match Name::new(self.build.key.target.as_str()) {
            Ok(host) => self.add_hosts([host].into()),
            Err(_) => self.waiting.push_back(BuildTask::List),
        }
    }

    fn add_hosts(&mut self, hosts: BTreeSet<Name>) {
        self.state.set_pending(hosts.iter().cloned());
        let dir = self.build.store.roots(&self.build.name);
        match private_file::create_dir(&dir) {
            Ok(()) => self.waiting.extend(hosts.into_iter().map(BuildTask::Host)),
            Err(error) => {
                let what = format!("failed to create {}: {error}", dir.display());
                self.fail_all(&ErrorCode::Unhealthy, &what);
            }
        }
    }

    fn start_next(&mut self, slot: OwnedSemaphorePermit) {
        let (build, stop) = (&self.build, self.stop.clone());
        match self.waiting.pop_front() {
            None => {}
            Some(BuildTask::List) => {
                let listing = build.engine.hosts(build.repo.url.clone(), build.locked.clone(), stop);
                let listing = async move {
                    let _slot = slot;
                    RepoBuildEvent::Listed(listing.await)
                };
                self.running.spawn(listing.in_current_span());
            }
            Some(BuildTask::Host(host)) => {
                let host_build = HostBuild {
                    engine: build.engine.clone(),
                    spec: HostBuildSpec {
                        flake: build.repo.url.clone(),
                        locked: build.locked.clone(),
                        out_link: build.store.roots(&build.name).join(host.as_str()),
                        attr: self.attrs.get(&host).cloned().unwrap_or_else(|| FlakeAttr::from(&host)),
                        host: host.clone(),
                    },
                    is_attr_known: self.attrs.contains_key(&host),
                    post_build: build.rules.post_build.clone(),
                    keep_going: build.rules.keep_going,
                    stop,
                };
                self.started.insert(host.clone(), Instant::now());
                if let Some(host) = self.state.host(&host) {
                    host.state = PhaseState::Running;
                }
                let work = async move {
                    let ended = host_build.run().await;
                    drop(slot);
                    RepoBuildEvent::Host(ended)
                };
                self.running.spawn(work.instrument(tracing::info_span!("host", %host)));
            }
        }
    }

    fn fail_all(&mut self, code: &ErrorCode, why: &str) {
        for host in &mut self.state.hosts {
            host.state = PhaseState::Failed;
            host.error = Some(why.to_owned());
            self.state.errors.insert(host.hostname.clone(), code.clone());
        }
    }

    fn on_ended(&mut self, event: RepoBuildEvent) {
        match event {
            RepoBuildEvent::Listed(Ok(hosts)) => self.on_listed(hosts),
            RepoBuildEvent::Listed(Err(BuildError::Stopped { .. })) => {}
            RepoBuildEvent::Listed(Err(error)) => self.finish_early(error.code(), error.to_string()),
            RepoBuildEvent::Host(ended) => self.on_host_ended(ended),
        }
    }

    fn finish_early(&mut self, code: ErrorCode, message: String) {
        self.state.result = Some(RepoBuildResult { error: Some(code), message });
    }

    /// Adds the listed hosts to the build.
    fn on_listed(&mut self, FlakeHosts { names, skipped }: FlakeHosts) {
        if !skipped.is_empty() {
            let quoted: Vec<_> = skipped.iter().map(|name| format!("{name:?}")).collect();
            self.state.note = Some(format!("skipped {}: {}", join_names(&quoted), FlakeHosts::NAME_RULE));
        }
        for (name, attr) in names {
            self.attrs.entry(name).or_insert(attr);
        }
        let hosts: BTreeSet<_> = self.attrs.keys().cloned().collect_set();
        if hosts.is_empty() {
            let note = self.state.note.as_deref().unwrap_or("nixosConfigurations is empty");
            return self.finish_early(ErrorCode::EvaluationFailed, format!("no hosts to build: {note}"));
        }
        if self.build.is_default {
            self.build.store.remove_other_roots(&self.build.name, &hosts);
        }
        self.add_hosts(hosts);
    }

    fn on_host_ended(&mut self, FinishedHost { host: name, result }: FinishedHost) {
        let elapsed = self.started.remove(&name).map(|started| millis(started.elapsed()));
        let (timed_out, why) = (self.timed_out, self.timeout_message());
        let Some(host) = self.state.host(&name) else { return };
        host.elapsed_ms = elapsed.unwrap_or_default();
        let code = match result {
            HostBuildResult::Done(system) => {
                host.state = PhaseState::Done;
                host.system = Some(system.display().to_string());
                return;
            }
            HostBuildResult::Failed(HostFailure { code, error, system, log_tail, missing }) => {
                tracing::info!(host = %name, %code, reason = error, "host failed to build");
                host.state = PhaseState::Failed;
                host.system = system.map(|system| system.display().to_string());
                (host.error, host.log_tail) = (Some(error), log_tail);
                if missing {
                    self.missing.insert(name.clone());
                }
                code
            }
            HostBuildResult::Stopped if timed_out => {
                host.state = PhaseState::Failed;
                host.error = Some(format!("stopped: {why}"));
                ErrorCode::Timeout
            }
            HostBuildResult::Stopped => {
                host.state = PhaseState::Skipped;
                host.error = Some(ANOTHER_FAILED.to_owned());
                return;
            }
        };
        self.state.errors.insert(name, code);
    }

    fn timeout_message(&self) -> String {
        format!("the build took longer than {} s", self.build.rules.timeout.as_secs())
    }

    /// The current state.
    fn snapshot(&mut self) -> BuildState {
        for (name, started) in &self.started {
            if let Some(host) = self.state.host(name) {
                host.elapsed_ms = millis(started.elapsed());
            }
        }
        self.state.clone()
    }

    fn finish(&mut self) -> BuildState {
        let mut state = self.snapshot();
        let BuildState { hosts, errors, .. } = &mut state;
        for host in hosts {
            if host.state == PhaseState::Pending {
                host.state = PhaseState::Skipped;
                host.error =
                    Some(if self.timed_out { self.timeout_message() } else { ANOTHER_FAILED.to_owned() });
            } else if host.state == PhaseState::Running {
                host.state = PhaseState::Failed;
                host.error = Some("the build task crashed; see the builder's log".to_owned());
                errors.insert(host.hostname.clone(), ErrorCode::Internal);
            }
        }
        if state.result.is_none() {
            let all = is_all(&self.build.key.target);
            let timed_out = self.timed_out.then(|| self.timeout_message());
            if all && state.hosts.is_empty() {
                let why = timed_out.unwrap_or_else(|| "the build task crashed".to_owned());
                let code = if self.timed_out { ErrorCode::Timeout } else { ErrorCode::Internal };
                let message = format!("{why} while listing the hosts of the flake");
                state.result = Some(RepoBuildResult { error: Some(code), message });
            } else {
                state.finish(timed_out, all);
            }
        }
        state
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
