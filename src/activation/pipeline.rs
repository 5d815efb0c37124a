//! The engine of a NixOS host: resolves, builds and checks here, then hands over to the activation program and follows it.

mod boot_room;
mod check;
mod prepare;

use super::bounded_log::{BoundedLog, LogRoom};
use super::follow::{follow, not_started};
use super::{
    Engine, Facts, Failure, HostPaths, JobLog, JobLogTail, LogPiece, Order, Outcome, Owner, ServiceManager,
    Step, Steps, Units, Work, rebuild,
};
use crate::jobs::{Orders, PeersBefore, System};
use crate::nix::{BuildError, BuildOrder, CommitPolicy, FlakeAttr, FlakeUrl, Locked, Nix, NixLine};
use crate::protocol::{Action, ErrorCode, Name, OnFailure, PhaseName};
use std::io;
use std::path::Path;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// How a listener was told to treat its host.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own")]
pub struct Policy {
    /// Refuse a host that systemd calls degraded.
    pub require_healthy: bool,
    /// Commands that must succeed after an activation.
    pub health_checks: Vec<String>,
    /// How long they may take together.
    pub health_timeout: Duration,
    /// The program inside a closure that may refuse it.
    pub pre_activate_script: String,
    /// How long a host may take to prove that it can be reached; zero: no proof.
    pub confirm_timeout: Duration,
    /// Globs of units whose failure does not count.
    pub ignore_units: Vec<String>,
    /// Build nothing here: what no cache holds is refused.
    pub no_local_build: bool,
    /// Let the `nixConfig` of the flake set options of nix.
    pub accept_flake_config: bool,
    /// The least time between an activation that touched the connection and its last confirmation.
    pub confirm_hold: Duration,
    /// How long an activation may take.
    pub activate_timeout: Duration,
    /// Whether the host may be rebooted if nothing else brings the old system back.
    pub last_resort_reboot: bool,
    /// Leave a new system running whose units or checks fail.
    pub no_rollback: bool,
    /// Bytes that must be free on the nix store and in the state directory.
    pub min_free: u64,
}

/// Deploys to a NixOS host, step by step.
#[derive(Debug, Clone)]
pub struct Pipeline {
    /// The flake to deploy.
    pub flake: FlakeUrl,
    /// Which commits of it are deployed.
    pub commits: CommitPolicy,
    /// The host.
    pub hostname: Name,
    /// What the flake calls it.
    pub attr: FlakeAttr,
    /// Starts the activation program.
    pub owner: Owner,
    /// The listener's own unit, where a service manager runs it.
    pub listener_unit: Option<String>,
    /// How the host is treated.
    pub policy: Policy,
}

impl Engine for Pipeline {
    fn actions(&self) -> Vec<Action> {
        let mut actions = Action::BASE.to_vec();
        actions.extend([Action::Build, Action::Cancel, Action::Rollback, Action::Reboot]);
        actions
    }

    fn mask(&self, text: &str) -> String {
        self.flake.mask(text)
    }

    fn facts(&self) -> Facts {
        Facts::read(&self.owner.host.root)
    }

    fn failed_units(&self) -> Units {
        Box::pin(ServiceManager::new(self.owner.host.has_systemd()).failed())
    }

    fn work(&self, order: Order, steps: Steps, stop: CancellationToken) -> Work {
        let pipeline = self.clone();
        Box::pin(async move { Run { pipeline, order, steps, stop }.run().await })
    }

    fn follow(&self, order: Order, steps: Steps, stop: CancellationToken) -> Work {
        let (owner, flake) = (self.owner.clone(), self.flake.clone());
        Box::pin(rebuild::follow_any(owner, flake, rebuild::SILENT, order, steps, stop))
    }

    fn can_repeat(&self) -> bool {
        true
    }

    fn boot_id(&self) -> Option<String> {
        self.owner.host.boot_id()
    }
}

/// One order under way, up to the hand-over.
struct Run {
    pipeline: Pipeline,
    order: Order,
    steps: Steps,
    stop: CancellationToken,
}

impl Run {
    async fn run(self) -> Outcome {
        let action = self.order.request.action.clone();
        self.tell(Step::Enter(PhaseName::Prepare)).await;
        let (old, system) = match action {
            Action::Reboot => (self.prepare().await?, None),
            Action::Rollback => {
                let old = self.prepare().await?;
                let system = self.earlier_system(&old).await?;
                (old, Some(system))
            }
            _ => {
                let (old, locked) = tokio::try_join!(self.prepare(), self.resolve())?;
                (old, Some(self.build(locked).await?))
            }
        };
        if action == Action::Build {
            return Ok("build done".to_owned());
        }
        if let Some(system) = &system {
            self.tell(Step::System(system.clone())).await;
            let note = self.check(system).await?;
            if action == Action::DryActivate {
                return self.dry_activate(system, note).await;
            }
        }
        self.hand_over(old).await
    }

    async fn build(&self, locked: Locked) -> Result<String, Failure> {
        self.tell(Step::Enter(PhaseName::Build)).await;
        let (told, mut lines) = mpsc::channel(64);
        let order = BuildOrder {
            flake: self.pipeline.flake.clone(),
            locked,
            host: self.pipeline.hostname.clone(),
            attr: self.pipeline.attr.clone(),
            out_link: self.order.folder.path().join("result"),
        };
        let mut log = BoundedLog::new(self.log()?, LogRoom::BUILD);
        let hear = async {
            while let Some(line) = lines.recv().await {
                match line {
                    NixLine::Progress(progress) => self.tell(Step::Progress(progress)).await,
                    NixLine::Log(text) => {
                        for line in text.lines() {
                            self.tell_log(log.take(format!("{line}\n").as_bytes(), false)?).await;
                        }
                    }
                }
            }
            self.tell_log(log.end()?).await;
            Ok::<(), io::Error>(())
        };
        let stop = self.stop.child_token();
        // Without a log nobody could tell why a build failed. Nobody reads what nix says then, so it must not go on either.
        let hear = async { hear.await.inspect_err(|_| stop.cancel()) };
        let policy = &self.pipeline.policy;
        let nix = Nix::new()
            .only_fetching(policy.no_local_build)
            .accepting_flake_config(policy.accept_flake_config);
        let (built, heard) = tokio::join!(nix.build(order, told, &stop), hear);
        heard.map_err(|error| self.log_failed(&error))?;
        match built {
            Ok(system) => Ok(system.to_string_lossy().into_owned()),
            Err(BuildError::Stopped { .. }) => Err(self.stopped(&PhaseName::Build).await),
            Err(error) => Err(Failure::new(error.code(), error.to_string())),
        }
    }

    /// Gives the record away, starts its new owner, and follows.
    async fn hand_over(self, old: System) -> Outcome {
        // Away during the build does no harm; away now, nobody could tell a host that is cut off from one that was before.
        self.link(&PhaseName::Check).await?;
        if self.stop.is_cancelled() {
            return Err(self.stopped(&PhaseName::Check).await);
        }
        // Somebody at the host may have switched while it was built, and that is where to go back to.
        let mut now = self.host().snapshot(old.failed_units.clone());
        (now.looping_units, now.restarts) = (old.looping_units.clone(), old.restarts.clone());
        if now != old {
            self.say("what runs has changed since this job began").await?;
        }
        // The second look: a service that was restarted since the first one loops.
        self.look_at_services(&mut now).await;
        self.tell(Step::Old(Box::new(now))).await;
        let peers = self.peers().await?;
        if peers == PeersBefore::Alone {
            self.say("no other client was heard: the health checks of the new system take its place").await?;
        }
        let policy = &self.pipeline.policy;
        let keep = policy.no_rollback || self.order.request.on_failure == Some(OnFailure::Keep);
        let owner = &self.pipeline.owner;
        let lowered = self.order.request.activate_timeout_s.map_or(Duration::MAX, Duration::from_secs);
        let orders = Orders {
            profile: owner.host.profile.to_string_lossy().into_owned(),
            confirm_timeout_s: policy.confirm_timeout.as_secs(),
            peers,
            confirm_hold_s: policy.confirm_hold.as_secs(),
            activate_timeout_s: lowered.min(policy.activate_timeout).as_secs(),
            last_resort_reboot: policy.last_resort_reboot,
            health_checks: policy.health_checks.clone(),
            health_timeout_s: policy.health_timeout.as_secs(),
            ignore_units: policy.ignore_units.clone(),
            keep,
            listener_unit: self.pipeline.listener_unit.clone(),
            starts: 0,
        };
        tokio::select! {
            kept = self.keep_old() => kept?,
            () = self.stop.cancelled() => return Err(self.stopped(&PhaseName::Check).await),
        }
        self.say("handing over to the activation program").await?;
        let tail = JobLogTail::at_end(&self.order.folder.log()).map_err(|error| self.log_failed(&error))?;
        let (answer, answered) = oneshot::channel();
        self.tell(Step::HandOver(Box::new(orders), answer)).await;
        let durable = answered.await.unwrap_or_else(|_| Err("the listener stopped".to_owned()));
        durable.map_err(|why| Failure::new(ErrorCode::Unhealthy, format!("{why}; nothing was changed")))?;
        let id = &self.order.request.id;
        if let Err(error) = owner.start(id, false).await
            && let Some(outcome) = not_started(owner, id, &error)
        {
            return outcome;
        }
        follow(owner, id, Some(tail), &self.steps).await
    }

    async fn tell(&self, step: Step) {
        // Nobody listens only once the whole listener stops.
        let _ = self.steps.send(step).await;
    }

    fn log(&self) -> Result<JobLog, Failure> {
        JobLog::open(&self.order.folder.log()).map_err(|error| self.log_failed(&error))
    }

    async fn tell_log(&self, piece: Option<LogPiece>) {
        if let Some(piece) = piece {
            self.tell(Step::Log(piece)).await;
        }
    }

    pub(in crate::activation::pipeline) fn log_failed(&self, error: &io::Error) -> Failure {
        let log = self.order.folder.log();
        let message = format!(
            "could not write the log of the job, {}: {error}; nothing was changed: make it writable, or make room on that disk, \
             then deploy again",
            log.display()
        );
        Failure::new(ErrorCode::Unhealthy, message)
    }

    /// Writes a line into the log and tells it.
    async fn say(&self, line: &str) -> Result<(), Failure> {
        let piece =
            self.log()?.line(&self.pipeline.flake.scrub(line)).map_err(|error| self.log_failed(&error))?;
        self.tell(Step::Log(piece)).await;
        Ok(())
    }

    async fn stopped(&self, phase: &PhaseName) -> Failure {
        self.tell(Step::Stopping).await;
        Failure::new(ErrorCode::Cancelled, format!("stopped in {phase}; nothing was changed"))
    }

    /// Who can confirm this host after the activation. Where nobody can, nothing is changed.
    async fn peers(&self) -> Result<PeersBefore, Failure> {
        let activates = !matches!(self.order.request.action, Action::Boot | Action::Reboot);
        if !activates || self.pipeline.policy.confirm_timeout.is_zero() {
            return Ok(PeersBefore::NotNeeded);
        }
        tokio::select! {
            peers = self.order.peers.ask() => peers
                .map_err(|why| Failure::new(ErrorCode::Unhealthy, format!("{why}; nothing was changed"))),
            () = self.stop.cancelled() => Err(self.stopped(&PhaseName::Check).await),
        }
    }

    /// Adds the services that crash again and again to what ran before: a new system is not to blame for them.
    async fn look_at_services(&self, old: &mut System) {
        for (unit, state) in self.services().services().await {
            let is_restarted = old.restarts.get(&unit).is_some_and(|before| state.restarts > *before);
            if (state.crashed || is_restarted) && !old.looping_units.contains(&unit) {
                old.looping_units.push(unit.clone());
            }
            if state.restarts > 0 {
                old.restarts.insert(unit, state.restarts);
            }
        }
    }

    fn services(&self) -> ServiceManager {
        ServiceManager::new(self.host().has_systemd())
    }

    fn host(&self) -> &HostPaths {
        &self.pipeline.owner.host
    }
}

/// Whether a file is there, whatever it is.
fn exists(system: &str, file: &str) -> bool {
    Path::new(system).join(file).symlink_metadata().is_ok()
}
