//! A build at work: finds the hosts, builds them side by side, and tells how it stands.

use super::config::{Repo, Rules};
use super::host::{Ended, Failure, HostBuild, Outcome};
use super::order::{Wanted, is_all};
use super::stage::{Stage, named};
use super::store::Store;
use crate::nix::{BuildError, BuildOrder, Locked, Nix};
use crate::protocol::{ErrorCode, Name, PhaseState, fit_start, printable};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// The shortest time between two reports.
const MIN_GAP: Duration = Duration::from_millis(250);
/// How long a build may go without a report.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(15);

/// A build that is about to begin.
pub(super) struct Build {
    pub(super) name: Name,
    pub(super) repo: Repo,
    pub(super) locked: Locked,
    pub(super) wanted: Wanted,
    /// Whether the commit is what the repository's default branch is at.
    pub(super) is_default: bool,
    pub(super) rules: Arc<Rules>,
    pub(super) nix: Nix,
    pub(super) store: Arc<Store>,
    pub(super) slots: Arc<Semaphore>,
    /// The builder goes away.
    pub(super) stop: CancellationToken,
}

/// Something has ended.
enum Event {
    Listed(Result<Vec<String>, BuildError>),
    Host(Ended),
}

/// A build at work.
struct Work {
    build: Build,
    stage: Stage,
    running: JoinSet<Event>,
    began: mpsc::Sender<Name>,
    begun: BTreeMap<Name, Instant>,
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
        let (began, mut beginnings) = mpsc::channel(64);
        let deadline = sleep_until(Instant::now() + self.rules.timeout);
        tokio::pin!(deadline);
        let mut work = Work {
            stop: self.stop.child_token(),
            build: self,
            stage: Stage::default(),
            running: JoinSet::new(),
            began,
            begun: BTreeMap::new(),
            timed_out: false,
            missing: BTreeSet::new(),
        };
        work.begin();
        let mut last = Instant::now();
        let mut next = last;
        loop {
            tokio::select! {
                biased;
                Some(host) = beginnings.recv() => {
                    work.host_began(&host);
                    next = next.min(last + MIN_GAP);
                }
                ended = work.running.join_next() => match ended {
                    None => break,
                    Some(ended) => {
                        // A task that died is seen by its host, which never ends.
                        if let Ok(event) = ended {
                            work.ended(event);
                        }
                        next = next.min(last + MIN_GAP);
                    }
                },
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
    fn begin(&mut self) {
        let build = &self.build;
        if let Ok(host) = Name::new(build.wanted.target.as_str()) {
            self.stage.expect([host]);
            return self.build_hosts();
        }
        let (nix, url, locked) = (build.nix.clone(), build.repo.url.clone(), build.locked.clone());
        let (slots, stop) = (build.slots.clone(), self.stop.clone());
        self.running.spawn(async move {
            let slot = tokio::select! {
                biased;
                () = stop.cancelled() => None,
                slot = slots.acquire_owned() => slot.ok(),
            };
            let Some(_slot) = slot else {
                return Event::Listed(Err(BuildError::Stopped { host: "all".to_owned() }));
            };
            // Nobody listens: what it says on the way is nothing that an operator waits for.
            let (told, _) = mpsc::channel(1);
            Event::Listed(nix.hosts(&url, &locked, told, &stop).await)
        });
    }

    fn build_hosts(&mut self) {
        let folder = self.build.store.roots(&self.build.name);
        if let Err(error) = std::fs::create_dir_all(&folder) {
            let what = format!("could not make {}: {error}", folder.display());
            return self.fail_all(&ErrorCode::Unhealthy, &what);
        }
        for host in self.stage.hosts.iter().map(|host| host.hostname.clone()) {
            let host_build = HostBuild {
                nix: self.build.nix.clone(),
                order: BuildOrder {
                    flake: self.build.repo.url.clone(),
                    locked: self.build.locked.clone(),
                    out_link: folder.join(host.as_str()),
                    host,
                },
                post_build: self.build.rules.post_build.clone(),
                slots: self.build.slots.clone(),
                began: self.began.clone(),
                stop: self.stop.clone(),
            };
            self.running.spawn(async move { Event::Host(host_build.run().await) });
        }
    }

    fn fail_all(&mut self, code: &ErrorCode, why: &str) {
        for host in &mut self.stage.hosts {
            host.state = PhaseState::Failed;
            host.error = Some(why.to_owned());
            self.stage.errors.insert(host.hostname.clone(), code.clone());
        }
    }

    fn host_began(&mut self, name: &Name) {
        self.begun.insert(name.clone(), Instant::now());
        if let Some(host) = self.stage.host(name) {
            host.state = PhaseState::Running;
        }
    }

    fn ended(&mut self, event: Event) {
        match event {
            Event::Listed(Ok(names)) => self.listed(names),
            Event::Listed(Err(BuildError::Stopped { .. })) => {}
            Event::Listed(Err(error)) => self.end_early(error.code(), error.to_string()),
            Event::Host(ended) => self.host_ended(ended),
        }
    }

    fn end_early(&mut self, code: ErrorCode, message: String) {
        self.stage.end = Some(super::stage::End { error: Some(code), message });
    }

    /// The flake has these hosts.
    fn listed(&mut self, names: Vec<String>) {
        let (mut hosts, mut others) = (BTreeSet::new(), Vec::new());
        for name in names {
            match Name::new(name.as_str()) {
                Ok(host) => drop(hosts.insert(host)),
                Err(_) => others.push(format!("{:?}", fit_start(&printable(&name), 80))),
            }
        }
        if !others.is_empty() {
            let why = "as that is no name of 1 to 63 letters, digits, `_` or `-`";
            self.stage.note = Some(format!("skipped {}, {why}", named(&others)));
        }
        if hosts.is_empty() {
            let note = self.stage.note.as_deref().unwrap_or("its nixosConfigurations is empty");
            return self.end_early(ErrorCode::EvaluationFailed, format!("no host to build: {note}"));
        }
        if self.build.is_default {
            self.build.store.drop_others(&self.build.name, &hosts);
        }
        self.stage.expect(hosts);
        self.build_hosts();
    }

    fn host_ended(&mut self, Ended { host: name, outcome, elapsed }: Ended) {
        let (timed_out, began) = (self.timed_out, self.begun.remove(&name).is_some());
        let why = self.too_long();
        let Some(host) = self.stage.host(&name) else { return };
        host.elapsed_ms = millis(elapsed);
        let code = match outcome {
            Outcome::Done(system) => {
                host.state = PhaseState::Done;
                host.system = Some(system.display().to_string());
                return;
            }
            Outcome::Failed(Failure { code, error, system, log_tail, missing }) => {
                tracing::info!(repo = %self.build.name, host = %name, %code, reason = error, "a host failed");
                let host = self.stage.host(&name);
                if let Some(host) = host {
                    host.state = PhaseState::Failed;
                    host.system = system.map(|system| system.display().to_string());
                    (host.error, host.log_tail) = (Some(error), log_tail);
                }
                if missing {
                    self.missing.insert(name.clone());
                }
                code
            }
            Outcome::Stopped if timed_out && began => {
                host.state = PhaseState::Failed;
                host.error = Some(format!("stopped: {why}"));
                ErrorCode::Timeout
            }
            Outcome::Stopped => {
                host.state = PhaseState::Skipped;
                host.error = Some(if timed_out { why } else { "another host failed before".to_owned() });
                return;
            }
        };
        self.stage.errors.insert(name, code);
        if !self.build.rules.keep_going {
            self.stop.cancel();
        }
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
        let open = |state: &PhaseState| matches!(state, PhaseState::Pending | PhaseState::Running);
        let Stage { hosts, errors, .. } = &mut stage;
        for host in hosts.iter_mut().filter(|host| open(&host.state)) {
            host.state = PhaseState::Failed;
            host.error = Some("the task that built it died; see the builder's log".to_owned());
            errors.insert(host.hostname.clone(), ErrorCode::Internal);
        }
        if stage.end.is_none() {
            let timed_out = self.timed_out.then(|| self.too_long());
            let listed = !stage.hosts.is_empty() || !is_all(&self.build.wanted.target);
            if listed {
                stage.conclude(timed_out);
            } else {
                let why = timed_out.unwrap_or_else(|| "the task that looked for hosts died".to_owned());
                let code = if self.timed_out { ErrorCode::Timeout } else { ErrorCode::Internal };
                let message = format!("{why} while it looked for the hosts of the flake");
                stage.end = Some(super::stage::End { error: Some(code), message });
            }
        }
        stage
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
