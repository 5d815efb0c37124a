//! One job on a host with Docker Compose: its phases in their order, and what all of them use.

use super::ComposeEngine;
use super::deployment_state::{DeploymentState, ServiceDeployment};
use super::stage_files::StageFiles;
use crate::activation::{JobEvent, JobEvents, JobFailure, JobLog, JobResult, JobSpec};
use crate::compose::{ChangeCommand, ChangeEnd, ChangeLock, DockerError, Project, ProjectConfig};
use crate::git::Secrets;
use crate::jobs::JobRecord;
use crate::protocol::{Action, Component, ComponentState, ErrorCode, PhaseName};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// How long the daemon may be away during a job, for example for its own upgrade.
const DAEMON_TIMEOUT: Duration = Duration::from_mins(1);
/// How long the daemon may take to start after a boot.
const BOOT_TIMEOUT: Duration = Duration::from_mins(5);
/// The pause between two checks of the daemon or the connection.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// The pause until the listener has recorded a phase.
const RECORD_INTERVAL: Duration = Duration::from_millis(5);

/// One job.
pub(super) struct ComposeRun {
    pub(super) engine: ComposeEngine,
    pub(super) job: JobSpec,
    pub(super) stop: CancellationToken,
    pub(super) stages: StageFiles,
    events: JobEvents,
    secrets: Secrets,
    phase: Mutex<PhaseName>,
}

impl ComposeRun {
    pub(super) fn new(
        engine: ComposeEngine,
        job: JobSpec,
        events: JobEvents,
        stop: CancellationToken,
    ) -> Self {
        let (stages, secrets) = (StageFiles::new(&engine.root), engine.secrets());
        Self { engine, job, stop, stages, events, secrets, phase: Mutex::new(PhaseName::Prepare) }
    }

    pub(super) async fn run(self) -> JobResult {
        let result = match self.job.request.action {
            Action::Diagnose => self.diagnose_host().await,
            Action::Reboot => self.reboot().await,
            _ => self.deploy().await,
        };
        self.end(result).await
    }

    /// Resumes a job whose listener died after the first change.
    pub(super) async fn resume(self, record: &JobRecord) -> JobResult {
        let result = self.resume_from(record).await;
        self.end(result).await
    }

    async fn deploy(&self) -> JobResult {
        self.stages.start(&self.job.dir);
        let planned = tokio::select! {
            biased;
            planned = self.plan() => planned,
            () = self.stop.cancelled() => {
                self.remove_scratch().await;
                Err(self.stopped().await)
            }
        };
        match planned? {
            Some((state, configs)) => self.change(state, configs).await,
            None if self.job.request.action == Action::Build => Ok("build done".to_owned()),
            None => Ok("dry-activate done".to_owned()),
        }
    }

    /// Prepares, builds and checks. `None` if the action ends there, otherwise also the configurations that were checked, as they are
    /// in the work tree of the host.
    async fn plan(&self) -> Result<Option<(DeploymentState, BTreeMap<String, ProjectConfig>)>, JobFailure> {
        let mut plan = self.prepare().await?;
        let planned = async {
            self.build(&mut plan).await?;
            if self.job.request.action == Action::Build {
                return Ok(false);
            }
            self.check(&mut plan).await?;
            if self.job.request.action == Action::DryActivate {
                self.dry_activate(&plan).await?;
                return Ok(false);
            }
            self.wait_for_connection().await;
            Ok(true)
        };
        let planned: Result<bool, JobFailure> = planned.await;
        self.remove_scratch().await;
        let is_build = self.job.request.action == Action::Build && planned.is_ok();
        if !matches!(planned, Ok(true)) && !is_build {
            // A later job would otherwise recreate services only because a tag has moved.
            self.restore_tags(&plan.state.moved_tags).await;
        }
        let configs = plan.configs.moved(&plan.tree, &self.engine.repo_dir());
        Ok(planned?.then_some((plan.state, configs)))
    }

    /// Changes the host. The state is on disk, and the record has the phase, before anything changes.
    async fn change(
        &self,
        mut state: DeploymentState,
        configs: BTreeMap<String, ProjectConfig>,
    ) -> JobResult {
        state.save(&self.job.dir).map_err(|error| {
            let message = format!("{error}; nothing was changed: free disk space, then deploy again");
            JobFailure::new(ErrorCode::Unhealthy, message)
        })?;
        self.reserve_space(&state);
        self.enter("deploy", PhaseName::Activate).await;
        self.wait_until_recorded(&PhaseName::Activate).await?;
        if self.stop.is_cancelled() {
            return Err(self.stopped().await);
        }
        self.activate_and_verify(&mut state, configs).await
    }

    async fn activate_and_verify(
        &self,
        state: &mut DeploymentState,
        configs: BTreeMap<String, ProjectConfig>,
    ) -> JobResult {
        let changed = match self.activate(state, configs).await {
            Ok(()) => self.verify(state).await,
            failed => failed,
        };
        match changed {
            Ok(()) => self.persist(state).await,
            Err(failure) => Err(self.fail(state, failure).await),
        }
    }

    async fn resume_from(&self, record: &JobRecord) -> JobResult {
        let Some(mut state) = DeploymentState::read(&self.job.dir) else {
            let message = "the listener died and the state of the job is lost; deploy again";
            return Err(JobFailure::new(ErrorCode::Interrupted, message));
        };
        let phase = record.report.phases.running().map_or(PhaseName::Activate, |phase| phase.name.clone());
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase.clone();
        self.log(&format!("resuming after the listener died in {phase}")).await;
        if ChangeLock::is_held(&self.engine.change_lock()).unwrap_or(false) {
            self.log("waiting for the docker compose of the earlier listener").await;
        }
        ChangeLock::acquire(&self.engine.change_lock()).await.map_err(|error| {
            JobFailure::new(ErrorCode::Internal, format!("could not use the lock: {error}"))
        })?;
        self.wait_for_daemon(BOOT_TIMEOUT).await.map_err(|error| self.interrupted(&state, &error))?;
        if let Some(failure) = state.failure.clone() {
            let failure = JobFailure::new(failure.code, failure.message);
            return Err(self.roll_back(&mut state, failure).await);
        }
        if phase == PhaseName::Persist {
            return self.persist(&mut state).await;
        }
        // Checks and moves of the work tree may have been interrupted too.
        self.activate_and_verify(&mut state, BTreeMap::new()).await
    }

    /// Collects diagnostics of a failed deployment, and rolls back unless that is not wanted.
    async fn fail(&self, state: &mut DeploymentState, failure: JobFailure) -> JobFailure {
        // It is also saved in the state of the job.
        let failure = JobFailure { message: self.redact(&failure.message), ..failure };
        if failure.code == ErrorCode::Interrupted {
            return failure;
        }
        self.log(&failure.message).await;
        self.diagnose_failure(state, &failure).await;
        if state.no_rollback {
            let message = format!("{}; not rolled back, as requested", failure.message);
            return JobFailure { message, rolled_back: Some(false), ..failure };
        }
        state.set_failure(&failure);
        self.roll_back(state, failure).await
    }

    /// Redacts the result, and writes the end of the log: host, last stage, and where the logs are.
    async fn end(&self, result: JobResult) -> JobResult {
        let result = match result {
            Ok(message) => Ok(self.redact(&message)),
            Err(failure) => Err(JobFailure { message: self.redact(&failure.message), ..failure }),
        };
        let phase = self.phase();
        let status = if result.is_ok() { "completed" } else { "failed" };
        let summary = json!({
            "event": "end", "status": status, "host": self.engine.hostname.as_str(), "last_stage": phase.as_str(),
            "log": self.job.dir.log(), "error": result.as_ref().err().map(|failure| failure.code.as_str()),
        });
        self.log(&format!("[STRUCT] {summary}")).await;
        let dir = self.job.dir.path().display();
        self.log(&format!(
            "{}: {status}, last phase {phase}; log and diagnostics in {dir}",
            self.engine.hostname
        ))
        .await;
        result
    }

    async fn reboot(&self) -> JobResult {
        self.enter("deploy", PhaseName::Activate).await;
        self.wait_until_recorded(&PhaseName::Activate).await?;
        let mut command = crate::unattended::captured("systemctl");
        command.arg("reboot");
        let failed = |why: String| {
            JobFailure::new(ErrorCode::ActivationFailed, format!("could not reboot the host: {why}"))
        };
        let output =
            crate::unattended::run(command, 1 << 16).await.map_err(|error| failed(error.to_string()))?;
        if !output.status.success() {
            return Err(failed(output.stderr));
        }
        // The next listener finds another boot.
        sleep(BOOT_TIMEOUT).await;
        Err(failed(format!("it still runs after {} min", BOOT_TIMEOUT.as_secs() / 60)))
    }

    // What the phases share.

    pub(super) fn phase(&self) -> PhaseName {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Enters a stage of the framework and its phase.
    pub(super) async fn enter(&self, stage: &str, phase: PhaseName) {
        self.stages.enter(stage);
        self.enter_phase(phase.clone()).await;
        self.log(&format!(
            "[STRUCT] {}",
            json!({ "event": "stage", "stage": stage, "phase": phase.as_str() })
        ))
        .await;
    }

    /// Enters a phase that is not a stage of the framework.
    pub(super) async fn enter_phase(&self, phase: PhaseName) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase.clone();
        self.send(JobEvent::PhaseStarted(phase)).await;
    }

    pub(super) async fn send(&self, event: JobEvent) {
        // Only a stopping listener closes the channel.
        let _ = self.events.send(event).await;
    }

    /// Waits until the record has a phase, because a later listener continues at the phase of the record.
    async fn wait_until_recorded(&self, phase: &PhaseName) -> Result<(), JobFailure> {
        let started_at = Instant::now();
        while started_at.elapsed() < RETRY_INTERVAL * 10 {
            let record = self.job.dir.record();
            let running = record.ok().and_then(|record| Some(record.report.phases.running()?.name.clone()));
            if running.as_ref() == Some(phase) {
                return Ok(());
            }
            sleep(RECORD_INTERVAL).await;
        }
        let message = "the record of the job cannot be written; nothing was changed: free disk space, then deploy again";
        Err(JobFailure::new(ErrorCode::Unhealthy, message))
    }

    pub(super) async fn stopped(&self) -> JobFailure {
        self.send(JobEvent::Stopping).await;
        let message = format!("stopped in {}; nothing was changed", self.phase());
        JobFailure::new(ErrorCode::Cancelled, message)
    }

    /// Removes the values of `.env` files and credentials from a text.
    pub(super) fn redact(&self, text: &str) -> String {
        self.secrets.redact(&self.engine.repo.redact(text))
    }

    /// Appends a line to the log and publishes it. A line that cannot be written is lost, because the report has the result.
    pub(super) async fn log(&self, line: &str) {
        let line = self.redact(line);
        match JobLog::open(&self.job.dir.log()).and_then(|mut log| log.line(&line)) {
            Ok(piece) => self.send(JobEvent::Log(piece)).await,
            Err(error) => tracing::warn!(%error, "failed to write the log of a job"),
        }
    }

    /// Logs a note that is also in the report.
    pub(super) async fn note(&self, state: &mut DeploymentState, note: String) {
        let note = self.redact(&note);
        self.log(&note).await;
        if !state.notes.contains(&note) {
            state.notes.push(note);
        }
    }

    pub(super) async fn component(
        &self,
        name: &str,
        state: ComponentState,
        since: Option<Instant>,
        message: &str,
    ) {
        let elapsed = since.map_or(Duration::ZERO, |since| since.elapsed());
        let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let message = self.redact(message);
        self.send(JobEvent::Component(Component { name: name.to_owned(), state, elapsed_ms, message })).await;
    }

    /// Saves the state after a step. If that fails, a resumed job repeats the step, which then finds nothing to do.
    pub(super) async fn save(&self, state: &DeploymentState) {
        if let Err(error) = state.save(&self.job.dir) {
            self.log(&format!("failed to save the state of the job: {error}")).await;
        }
    }

    pub(super) fn scratch(&self) -> PathBuf {
        self.job.dir.path().join("tree")
    }

    /// The project of a service in a work tree.
    pub(super) fn project(&self, service: &str, tree: &Path) -> Project {
        Project::new(service, tree, &self.engine.config_dir())
    }

    /// Waits until the daemon responds.
    pub(super) async fn wait_for_daemon(&self, limit: Duration) -> Result<(), DockerError> {
        let started_at = Instant::now();
        let mut has_logged = false;
        loop {
            match self.engine.docker.version().await {
                Ok(_) => return Ok(()),
                Err(error) if started_at.elapsed() >= limit => return Err(error),
                Err(error) if !has_logged => {
                    self.log(&format!("{error}; waiting for up to {} s", limit.as_secs())).await;
                    has_logged = true;
                }
                Err(_) => {}
            }
            sleep(RETRY_INTERVAL).await;
        }
    }

    /// Waits for the daemon if it was the cause of an error. `Err` if it does not come back.
    pub(super) async fn await_daemon_after(
        &self,
        state: &DeploymentState,
        error: &DockerError,
    ) -> Result<bool, JobFailure> {
        if !error.is_daemon_away() && self.engine.docker.version().await.is_ok() {
            return Ok(false);
        }
        self.wait_for_daemon(DAEMON_TIMEOUT).await.map_err(|error| self.interrupted(state, &error))?;
        Ok(true)
    }

    /// The failure of a job that cannot continue and leaves the host between two states.
    fn interrupted(&self, state: &DeploymentState, error: &DockerError) -> JobFailure {
        let is_done = |service: &&ServiceDeployment| service.done.is_some();
        let done: Vec<&str> =
            state.services.iter().filter(is_done).map(|service| service.name.as_str()).collect();
        let done = if done.is_empty() { "no service".to_owned() } else { done.join(", ") };
        let message = format!(
            "{error}; done so far: {done}; start docker, then continue with `homelab-deploy resume {}`",
            self.engine.hostname
        );
        JobFailure::new(ErrorCode::Interrupted, message)
    }

    /// Runs a command that changes containers, with its output in the log.
    pub(super) async fn run_change(&self, service: &str, command: ChangeCommand) -> ChangeEnd {
        let lock = match ChangeLock::acquire(&self.engine.change_lock()).await {
            Ok(lock) => lock,
            Err(error) => {
                let error = Some(DockerError::Io("docker compose".to_owned(), error));
                return ChangeEnd { output: String::new(), error };
            }
        };
        let output = self.job.dir.path().join("compose-output");
        let (lines, mut received) = mpsc::unbounded_channel();
        let limit = self.job.request.activate_timeout_s.map_or(Duration::MAX, Duration::from_secs);
        let limit = limit.min(self.engine.policy.activate_timeout);
        let run = command.run(lock, &output, limit, move |line| {
            let _ = lines.send(line.to_owned());
        });
        let forward = async {
            while let Some(line) = received.recv().await {
                self.log(&format!("{service}: {}", line.trim())).await;
            }
        };
        let (end, ()) = tokio::join!(run, forward);
        end
    }

    /// Waits until the NATS server answers. Otherwise a connection that was lost before would seem to be lost by the deployment.
    async fn wait_for_connection(&self) {
        if self.engine.policy.confirm_timeout.is_zero() {
            return;
        }
        let mut has_logged = false;
        while !self.job.reachable.run().await {
            if !has_logged {
                self.log("waiting for the NATS server to answer").await;
                has_logged = true;
            }
            sleep(RETRY_INTERVAL).await;
        }
    }
}
