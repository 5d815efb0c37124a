//! The engine for NixOS hosts. It resolves, builds and checks in the listener, then hands the job over to the worker
//! and follows it.

mod check;
mod prepare;

use super::bounded_log::{BoundedLog, LogLimits};
use super::follow::{follow, not_started};
use super::{
    Engine, Facts, FailedUnitsFuture, HostPaths, JobEvent, JobEvents, JobFailure, JobFuture, JobLog,
    JobLogTail, JobResult, JobSpec, LogPiece, Systemd, WorkerSpawner, external_command,
};
use crate::git::CommitPolicy;
use crate::jobs::{Handover, PeerBaseline, PreviousSystem};
use crate::nix::{BuildError, FlakeAttr, FlakeUrl, HostBuildSpec, LockedFlake, Nix, NixLine};
use crate::protocol::{Action, ErrorCode, Name, OnFailure, PhaseName};
use std::io;
use std::path::Path;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// The listener's settings for deployments to its host.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a separate setting")]
pub struct Policy {
    /// Refuse a host that systemd reports as degraded.
    pub require_healthy: bool,
    /// Commands that must succeed after an activation.
    pub health_checks: Vec<String>,
    /// Time limit for all health checks together.
    pub health_timeout: Duration,
    /// Path of an optional program in the closure that may refuse the deployment.
    pub pre_activate_script: String,
    /// Time limit of the confirmation; zero disables it.
    pub confirm_timeout: Duration,
    /// Globs of units whose failure does not count.
    pub ignore_units: Vec<String>,
    /// Build nothing on this host: a closure that no cache has is refused.
    pub no_local_build: bool,
    /// Accept options of nix from the `nixConfig` of the flake.
    pub accept_flake_config: bool,
    /// Minimum time between an activation that touched the connection and its last confirmation.
    pub confirm_hold: Duration,
    /// Time limit of an activation.
    pub activate_timeout: Duration,
    /// Reboot the host if nothing else brings the previous system back.
    pub last_resort_reboot: bool,
    /// Keep a new system running even if units or health checks fail.
    pub no_rollback: bool,
    /// Bytes that must be free in the nix store and in the state directory.
    pub min_free: u64,
}

/// Deploys to a NixOS host, phase by phase.
#[derive(Debug, Clone)]
pub struct Pipeline {
    /// The flake to deploy.
    pub flake: FlakeUrl,
    /// Which commits of the flake may be deployed.
    pub commits: CommitPolicy,
    /// Name of this host.
    pub hostname: Name,
    /// Name of the host in the flake.
    pub attr: FlakeAttr,
    /// Starts the worker.
    pub spawner: WorkerSpawner,
    /// The listener's own unit; `None` outside systemd.
    pub listener_unit: Option<String>,
    /// Settings for deployments to this host.
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
        Facts::read(&self.spawner.host.root)
    }

    fn failed_units(&self) -> FailedUnitsFuture {
        Box::pin(Systemd::new(self.spawner.host.has_systemd()).failed_units())
    }

    fn run(&self, job: JobSpec, events: JobEvents, stop: CancellationToken) -> JobFuture {
        let pipeline = self.clone();
        Box::pin(async move { PipelineRun { pipeline, job, events, stop }.run().await })
    }

    fn follow(&self, job: JobSpec, events: JobEvents, stop: CancellationToken) -> JobFuture {
        let (spawner, flake) = (self.spawner.clone(), self.flake.clone());
        Box::pin(external_command::follow_job(
            spawner,
            flake,
            external_command::DEFAULT_SILENCE_LIMIT,
            job,
            events,
            stop,
        ))
    }

    fn can_repeat(&self) -> bool {
        true
    }

    fn boot_id(&self) -> Option<String> {
        self.spawner.host.boot_id()
    }
}

/// One job, up to the handover.
struct PipelineRun {
    pipeline: Pipeline,
    job: JobSpec,
    events: JobEvents,
    stop: CancellationToken,
}

impl PipelineRun {
    async fn run(self) -> JobResult {
        let action = self.job.request.action.clone();
        self.send_event(JobEvent::PhaseStarted(PhaseName::Prepare)).await;
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
            self.send_event(JobEvent::System(system.clone())).await;
            let note = self.check(system).await?;
            if action == Action::DryActivate {
                return self.dry_activate(system, note).await;
            }
        }
        self.hand_over(old).await
    }

    async fn build(&self, locked: LockedFlake) -> Result<String, JobFailure> {
        self.send_event(JobEvent::PhaseStarted(PhaseName::Build)).await;
        let (line_sender, mut lines) = mpsc::channel(64);
        let request = HostBuildSpec {
            flake: self.pipeline.flake.clone(),
            locked,
            host: self.pipeline.hostname.clone(),
            attr: self.pipeline.attr.clone(),
            out_link: self.job.dir.path().join("result"),
        };
        let mut log = BoundedLog::new(self.log()?, LogLimits::BUILD);
        let forward = async {
            while let Some(line) = lines.recv().await {
                match line {
                    NixLine::Progress(progress) => self.send_event(JobEvent::Progress(progress)).await,
                    NixLine::Log(text) => {
                        for line in text.lines() {
                            self.send_log(log.write(format!("{line}\n").as_bytes(), false)?).await;
                        }
                    }
                }
            }
            self.send_log(log.finish()?).await;
            Ok::<(), io::Error>(())
        };
        let stop = self.stop.child_token();
        // Without a log, the reason of a failed build would be lost. Nothing reads the output of nix any longer then,
        // so the build must stop too.
        let forward = async { forward.await.inspect_err(|_| stop.cancel()) };
        let policy = &self.pipeline.policy;
        let nix =
            Nix::new().fetch_only(policy.no_local_build).accept_flake_config(policy.accept_flake_config);
        let (built, forwarded) = tokio::join!(nix.build(request, line_sender, &stop), forward);
        forwarded.map_err(|error| self.log_failed(&error))?;
        match built {
            Ok(system) => Ok(system.to_string_lossy().into_owned()),
            Err(BuildError::Stopped { .. }) => Err(self.stopped(&PhaseName::Build).await),
            Err(error) => Err(JobFailure::new(error.code(), error.to_string())),
        }
    }

    /// Hands the record over, starts the worker, and follows it.
    async fn hand_over(self, old: PreviousSystem) -> JobResult {
        // The server may be unreachable during the build, but must answer now. Otherwise, a host that was disconnected
        // before would seem to be disconnected by the new system.
        self.wait_for_connection(&PhaseName::Check).await?;
        if self.stop.is_cancelled() {
            return Err(self.stopped(&PhaseName::Check).await);
        }
        // A user may have switched the host during the build; a rollback returns to that system.
        let mut now = self.host().snapshot(old.failed_units.clone());
        (now.looping_units, now.restarts) = (old.looping_units.clone(), old.restarts.clone());
        if now != old {
            self.log_line("the running system or profile has changed since this job started").await?;
        }
        // This second sample shows the services that were restarted since the first one.
        self.record_looping_services(&mut now).await;
        self.send_event(JobEvent::PreviousSystem(Box::new(now))).await;
        let peers = self.find_peers().await?;
        if peers == PeerBaseline::HealthChecks {
            self.log_line("no other client was found: the health checks of the new system replace it")
                .await?;
        }
        let policy = &self.pipeline.policy;
        let no_rollback = policy.no_rollback || self.job.request.on_failure == Some(OnFailure::Keep);
        let spawner = &self.pipeline.spawner;
        let lowered = self.job.request.activate_timeout_s.map_or(Duration::MAX, Duration::from_secs);
        let handover = Handover {
            profile: spawner.host.profile.to_string_lossy().into_owned(),
            confirm_timeout_s: policy.confirm_timeout.as_secs(),
            peers,
            confirm_hold_s: policy.confirm_hold.as_secs(),
            activate_timeout_s: lowered.min(policy.activate_timeout).as_secs(),
            last_resort_reboot: policy.last_resort_reboot,
            health_checks: policy.health_checks.clone(),
            health_timeout_s: policy.health_timeout.as_secs(),
            ignore_units: policy.ignore_units.clone(),
            no_rollback,
            listener_unit: self.pipeline.listener_unit.clone(),
            starts: 0,
        };
        tokio::select! {
            rooted = self.keep_old_system() => rooted?,
            () = self.stop.cancelled() => return Err(self.stopped(&PhaseName::Check).await),
        }
        self.log_line("handing over to the worker").await?;
        let tail = JobLogTail::at_end(&self.job.dir.log()).map_err(|error| self.log_failed(&error))?;
        let (answer, answered) = oneshot::channel();
        self.send_event(JobEvent::Handover(Box::new(handover), answer)).await;
        let saved = answered.await.unwrap_or_else(|_| Err("the listener stopped".to_owned()));
        saved.map_err(|why| JobFailure::new(ErrorCode::Unhealthy, format!("{why}; nothing was changed")))?;
        let id = &self.job.request.id;
        if let Err(error) = spawner.start(id, false).await
            && let Some(result) = not_started(spawner, id, &error)
        {
            return result;
        }
        follow(spawner, id, Some(tail), &self.events).await
    }

    async fn send_event(&self, event: JobEvent) {
        // Only a stopping listener closes the channel.
        let _ = self.events.send(event).await;
    }

    fn log(&self) -> Result<JobLog, JobFailure> {
        JobLog::open(&self.job.dir.log()).map_err(|error| self.log_failed(&error))
    }

    async fn send_log(&self, piece: Option<LogPiece>) {
        if let Some(piece) = piece {
            self.send_event(JobEvent::Log(piece)).await;
        }
    }

    pub(in crate::activation::pipeline) fn log_failed(&self, error: &io::Error) -> JobFailure {
        let log = self.job.dir.log();
        let message = format!(
            "could not write the log of the job, {}: {error}; nothing was changed: make it writable, or free disk space, \
             then deploy again",
            log.display()
        );
        JobFailure::new(ErrorCode::Unhealthy, message)
    }

    /// Appends a line to the log and publishes it.
    async fn log_line(&self, line: &str) -> Result<(), JobFailure> {
        let piece =
            self.log()?.line(&self.pipeline.flake.redact(line)).map_err(|error| self.log_failed(&error))?;
        self.send_event(JobEvent::Log(piece)).await;
        Ok(())
    }

    async fn stopped(&self, phase: &PhaseName) -> JobFailure {
        self.send_event(JobEvent::Stopping).await;
        JobFailure::new(ErrorCode::Cancelled, format!("stopped in {phase}; nothing was changed"))
    }

    /// Finds the clients that can confirm this host after the activation. If there are none, the job fails before any
    /// change.
    async fn find_peers(&self) -> Result<PeerBaseline, JobFailure> {
        let activates = !matches!(self.job.request.action, Action::Boot | Action::Reboot);
        if !activates || self.pipeline.policy.confirm_timeout.is_zero() {
            return Ok(PeerBaseline::NotNeeded);
        }
        tokio::select! {
            peers = self.job.peers.run() => peers
                .map_err(|why| JobFailure::new(ErrorCode::Unhealthy, format!("{why}; nothing was changed"))),
            () = self.stop.cancelled() => Err(self.stopped(&PhaseName::Check).await),
        }
    }

    /// Adds services that crash repeatedly to the state of the previous system, so that the new system is not blamed
    /// for them.
    async fn record_looping_services(&self, old: &mut PreviousSystem) {
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

    fn services(&self) -> Systemd {
        Systemd::new(self.host().has_systemd())
    }

    fn host(&self) -> &HostPaths {
        &self.pipeline.spawner.host
    }
}

/// Whether a file of any kind exists in a system, including a dangling link.
fn exists(system: &str, file: &str) -> bool {
    Path::new(system).join(file).symlink_metadata().is_ok()
}
