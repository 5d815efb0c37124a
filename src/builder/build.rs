//! A build at work: finds the hosts, builds them side by side, and tells how it stands.

use super::config::{Repo, Rules};
use super::engine::Engine;
use super::host::{Ended, Failure, HostBuild, Outcome};
use super::order::{Wanted, is_all};
use super::stage::{End, Stage, named};
use super::store::Store;
use crate::nix::{BuildError, BuildOrder, FlakeAttr, Hosts, Locked};
use crate::private;
use crate::protocol::{ErrorCode, Name, PhaseState};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// The shortest time between two reports.
const MIN_GAP: Duration = Duration::from_millis(250);
/// How long a build may go without a report.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(15);

/// Why a host was not built.
const ANOTHER_FAILED: &str = "another host failed before";

/// A build that is about to begin.
pub(super) struct Build {
    pub(super) name: Name,
    pub(super) repo: Repo,
    pub(super) locked: Locked,
    pub(super) wanted: Wanted,
    /// Whether the commit is what the repository's default branch is at.
    pub(super) is_default: bool,
    pub(super) rules: Arc<Rules>,
    pub(super) engine: Arc<dyn Engine>,
    pub(super) store: Arc<Store>,
    pub(super) slots: Arc<Semaphore>,
    /// The builder goes away.
    pub(super) stop: CancellationToken,
}

/// Something that takes a slot.
enum Task {
    /// Look for the hosts of the flake.
    List,
    Host(Name),
}

/// Something has ended.
enum Event {
    Listed(Result<Hosts, BuildError>),
    Host(Ended),
}

/// A build at work.
struct Work {
    build: Build,
    stage: Stage,
    /// What is to be done yet, in its order.
    waiting: VecDeque<Task>,
    running: JoinSet<Event>,
    begun: BTreeMap<Name, Instant>,
    /// What the flake calls hosts, as far as that is known.
    attrs: BTreeMap<Name, FlakeAttr>,
    /// Ends all that runs.
    stop: CancellationToken,
    timed_out: bool,
    missing: BTreeSet<Name>,
}

/// What a build came to: how it stands in the end, and hosts that the flake does not have.
pub(super) type Built = (Stage, BTreeSet<Name>);

impl Build {
    /// Works to the end; nothing where the builder was stopped before. `told` gets how it stands, from time to time.
    pub(super) async fn run(self, told: mpsc::Sender<(Name, Stage)>) -> Option<Built> {
        let deadline = sleep_until(Instant::now() + self.rules.timeout);
        tokio::pin!(deadline);
        let slots = self.slots.clone();
        // Kept while other things happen, so that its place in the line is kept too.
        let mut slot = Box::pin(slots.clone().acquire_owned());
        let mut work = Work {
            stop: self.stop.child_token(),
            attrs: self.repo.attrs.clone(),
            build: self,
            stage: Stage::default(),
            waiting: VecDeque::new(),
            running: JoinSet::new(),
            begun: BTreeMap::new(),
            timed_out: false,
            missing: BTreeSet::new(),
        };
        work.begin();
        let mut last = Instant::now();
        let mut next = last;
        while work.goes_on() {
            tokio::select! {
                biased;
                () = work.stop.clone().cancelled_owned(), if !work.waiting.is_empty() => work.waiting.clear(),
                Some(ended) = work.running.join_next() => {
                    // A task that died is seen by its host, which never ends.
                    if let Ok(event) = ended {
                        work.ended(event);
                    }
                    next = next.min(last + MIN_GAP);
                }
                taken = &mut slot, if !work.waiting.is_empty() => {
                    // It is never closed.
                    if let Ok(taken) = taken {
                        work.start_next(taken);
                    }
                    slot = Box::pin(slots.clone().acquire_owned());
                    next = next.min(last + MIN_GAP);
                }
                () = &mut deadline, if !work.timed_out => {
                    work.timed_out = true;
                    work.stop.cancel();
                }
                () = sleep_until(next) => {
                    last = Instant::now();
                    // Whoever is behind hears the next one.
                    let heard = told.try_send((work.build.name.clone(), work.stage()));
                    next = last + if heard.is_ok() { HEARTBEAT } else { MIN_GAP };
                }
            }
        }
        if work.build.stop.is_cancelled() {
            return None;
        }
        Some((work.conclude(), work.missing))
    }
}

impl Work {
    fn goes_on(&self) -> bool {
        !self.waiting.is_empty() || !self.running.is_empty()
    }

    fn begin(&mut self) {
        match Name::new(self.build.wanted.target.as_str()) {
            Ok(host) => self.expect([host].into()),
            Err(_) => self.waiting.push_back(Task::List),
        }
    }

    fn expect(&mut self, hosts: BTreeSet<Name>) {
        self.stage.expect(hosts.iter().cloned());
        let folder = self.build.store.roots(&self.build.name);
        match private::directory(&folder) {
            Ok(()) => self.waiting.extend(hosts.into_iter().map(Task::Host)),
            Err(error) => {
                let what = format!("could not make {}: {error}", folder.display());
                self.fail_all(&ErrorCode::Unhealthy, &what);
            }
        }
    }

    fn start_next(&mut self, slot: OwnedSemaphorePermit) {
        let (build, stop) = (&self.build, self.stop.clone());
        match self.waiting.pop_front() {
            None => {}
            Some(Task::List) => {
                let listing = build.engine.hosts(build.repo.url.clone(), build.locked.clone(), stop);
                self.running.spawn(async move {
                    let _slot = slot;
                    Event::Listed(listing.await)
                });
            }
            Some(Task::Host(host)) => {
                let host_build = HostBuild {
                    engine: build.engine.clone(),
                    order: BuildOrder {
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
                self.begun.insert(host.clone(), Instant::now());
                if let Some(host) = self.stage.host(&host) {
                    host.state = PhaseState::Running;
                }
                self.running.spawn(async move {
                    let ended = host_build.run().await;
                    drop(slot);
                    Event::Host(ended)
                });
            }
        }
    }

    fn fail_all(&mut self, code: &ErrorCode, why: &str) {
        for host in &mut self.stage.hosts {
            host.state = PhaseState::Failed;
            host.error = Some(why.to_owned());
            self.stage.errors.insert(host.hostname.clone(), code.clone());
        }
    }

    fn ended(&mut self, event: Event) {
        match event {
            Event::Listed(Ok(hosts)) => self.listed(hosts),
            Event::Listed(Err(BuildError::Stopped { .. })) => {}
            Event::Listed(Err(error)) => self.end_early(error.code(), error.to_string()),
            Event::Host(ended) => self.host_ended(ended),
        }
    }

    fn end_early(&mut self, code: ErrorCode, message: String) {
        self.stage.end = Some(End { error: Some(code), message });
    }

    /// The flake has these hosts.
    fn listed(&mut self, Hosts { names, skipped }: Hosts) {
        if !skipped.is_empty() {
            let quoted: Vec<_> = skipped.iter().map(|name| format!("{name:?}")).collect();
            self.stage.note = Some(format!("skipped {}: {}", named(&quoted), Hosts::RULE));
        }
        for (name, attr) in names {
            self.attrs.entry(name).or_insert(attr);
        }
        let hosts: BTreeSet<_> = self.attrs.keys().cloned().collect();
        if hosts.is_empty() {
            let note = self.stage.note.as_deref().unwrap_or("its nixosConfigurations is empty");
            return self.end_early(ErrorCode::EvaluationFailed, format!("no host to build: {note}"));
        }
        if self.build.is_default {
            self.build.store.drop_others(&self.build.name, &hosts);
        }
        self.expect(hosts);
    }

    fn host_ended(&mut self, Ended { host: name, outcome }: Ended) {
        let elapsed = self.begun.remove(&name).map(|begun| millis(begun.elapsed()));
        let (timed_out, why) = (self.timed_out, self.too_long());
        let Some(host) = self.stage.host(&name) else { return };
        host.elapsed_ms = elapsed.unwrap_or_default();
        let code = match outcome {
            Outcome::Done(system) => {
                host.state = PhaseState::Done;
                host.system = Some(system.display().to_string());
                return;
            }
            Outcome::Failed(Failure { code, error, system, log_tail, missing }) => {
                tracing::info!(host = %name, %code, reason = error, "a host failed");
                host.state = PhaseState::Failed;
                host.system = system.map(|system| system.display().to_string());
                (host.error, host.log_tail) = (Some(error), log_tail);
                if missing {
                    self.missing.insert(name.clone());
                }
                code
            }
            Outcome::Stopped if timed_out => {
                host.state = PhaseState::Failed;
                host.error = Some(format!("stopped: {why}"));
                ErrorCode::Timeout
            }
            Outcome::Stopped => {
                host.state = PhaseState::Skipped;
                host.error = Some(ANOTHER_FAILED.to_owned());
                return;
            }
        };
        self.stage.errors.insert(name, code);
    }

    fn too_long(&self) -> String {
        format!("the build took longer than {} s", self.build.rules.timeout.as_secs())
    }

    /// How it stands now.
    fn stage(&mut self) -> Stage {
        for (name, begun) in &self.begun {
            if let Some(host) = self.stage.host(name) {
                host.elapsed_ms = millis(begun.elapsed());
            }
        }
        self.stage.clone()
    }

    fn conclude(&mut self) -> Stage {
        let mut stage = self.stage();
        let Stage { hosts, errors, .. } = &mut stage;
        for host in hosts {
            if host.state == PhaseState::Pending {
                host.state = PhaseState::Skipped;
                host.error = Some(if self.timed_out { self.too_long() } else { ANOTHER_FAILED.to_owned() });
            } else if host.state == PhaseState::Running {
                host.state = PhaseState::Failed;
                host.error = Some("the task that built it died; see the builder's log".to_owned());
                errors.insert(host.hostname.clone(), ErrorCode::Internal);
            }
        }
        if stage.end.is_none() {
            let all = is_all(&self.build.wanted.target);
            let timed_out = self.timed_out.then(|| self.too_long());
            if all && stage.hosts.is_empty() {
                let why = timed_out.unwrap_or_else(|| "the task died".to_owned());
                let code = if self.timed_out { ErrorCode::Timeout } else { ErrorCode::Internal };
                let message = format!("{why} while it looked for the hosts of the flake");
                stage.end = Some(End { error: Some(code), message });
            } else {
                stage.conclude(timed_out, all);
            }
        }
        stage
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
