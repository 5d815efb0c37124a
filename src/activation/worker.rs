//! The worker: the process that owns a job from the first change of the host to the result. It survives a restart of
//! the listener and a loss of the network; if it dies itself, another worker recovers the job.
//!
//! It records each step before it takes it, so that a later worker knows what may have happened.

mod command;
mod confirm;
mod connection_deps;
mod exit_status;
mod known_failures;
mod persist;
mod rollback;
mod switch;
mod switch_output;
mod unit_watch;
mod verify;

pub(super) use exit_status::{BOOT_REQUIRED, BUSY};

use super::{
    Facts, HostPaths, JobFailure, JobLog, JobResult, Systemd, collect_diagnostics, own_unit, save_diagnostics,
};
use crate::clock::now;
use crate::jobs::{ActivationLock, Handover, JobDir, JobRecord};
use crate::nix::reboot_needed;
use crate::protocol::{Action, ErrorCode, Id, PhaseName, PhaseState, Status};
use crate::state_dir::{ServiceIdentity, StoreError};
use exit_status::{ActivationResult, RunningSystem};
use known_failures::KnownFailures;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::Instant;

/// Time limit of the boot loader's installation.
const BOOT_LOADER_TIMEOUT: Duration = Duration::from_mins(15);
/// Time limit of one attempt to roll back.
const ROLLBACK_TIMEOUT: Duration = Duration::from_mins(10);
/// How many failures in the service managers of users are reported.
const MAX_NOTES: usize = 5;
/// How many workers may take a job over after another one died. If even more die, recovery is hopeless.
const MAX_RECOVERIES: u32 = 5;
/// How many lines of each journal are included.
const JOURNAL_LINES: usize = 20;

/// The reason why the worker could not start its work.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The record could not be read or written.
    #[error(transparent)]
    Record(#[from] StoreError),
    /// The activation lock could not be acquired.
    #[error("could not acquire the activation lock in {}: {source}", state_dir.display())]
    Lock {
        /// The listener's state directory.
        state_dir: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The job was never handed over.
    #[error("job {0} was not handed over; nothing was done")]
    NotHandedOver(Id),
}

/// A worker and the job that it carries out.
struct Worker {
    state_dir: PathBuf,
    job_dir: JobDir,
    record: JobRecord,
    handover: Handover,
    host: HostPaths,
    systemd: Systemd,
    started_at: Instant,
    phase_started_at: Instant,
    /// Whether the activation itself has restarted the listener, with its new configuration.
    listener_renewed: bool,
    /// When the activation ended.
    activated_at: Instant,
    /// A connection dependency that the activation touched. Unknown, and therefore assumed, for a worker that did not
    /// run the activation.
    changed_dependency: Option<String>,
    /// Units that systemd failed to start, restart or stop.
    refused_units: Vec<String>,
    /// Units that could not be reloaded.
    not_reloaded_units: Vec<String>,
    /// Sentences that are added to the result in the report.
    notes: Vec<String>,
    /// Whether the rollback has restored the boot loader.
    boot_loader_restored: bool,
    _lock: ActivationLock,
}

/// Carries a job from its check to its result; with `recover`, from the step at which another worker died. Does nothing
/// if the job has a result already or if another process works on it.
pub async fn run(state_dir: &Path, root: &Path, id: &Id, recover: bool) -> Result<(), WorkerError> {
    let lock = ActivationLock::acquire_with_retry(state_dir)
        .map_err(|source| WorkerError::Lock { state_dir: state_dir.to_owned(), source })?;
    let Some(lock) = lock else { return Ok(()) };
    let mut host = HostPaths { root: root.to_owned(), ..HostPaths::default() };
    let job_dir = JobDir::new(state_dir, id).with_runtime(&host.runtime_dir());
    let record = job_dir.record()?;
    if record.is_final() {
        return Ok(());
    }
    let handover = record.handover.clone().ok_or_else(|| WorkerError::NotHandedOver(id.clone()))?;
    host.profile = PathBuf::from(&handover.profile);
    let systemd = Systemd::new(host.has_systemd());
    // If the host is shutting down, the listener of the next boot reports the job.
    if recover && systemd.is_stopping().await {
        return Ok(());
    }
    let started_at = Instant::now();
    let state_dir = state_dir.to_owned();
    let mut worker = Worker {
        state_dir,
        job_dir,
        record,
        handover,
        host,
        systemd,
        started_at,
        phase_started_at: started_at,
        listener_renewed: false,
        activated_at: started_at,
        changed_dependency: Some("something unknown".to_owned()),
        refused_units: Vec::new(),
        not_reloaded_units: Vec::new(),
        notes: Vec::new(),
        boot_loader_restored: false,
        _lock: lock,
    };
    if recover {
        worker.kill_predecessor().await;
    }
    worker.record.unit = systemd.is_available().then(own_unit).flatten();
    let result = if recover && worker.count_recovery() > MAX_RECOVERIES {
        Err(worker.give_up().await)
    } else {
        worker.resume(recover).await
    };
    worker.finish(result).await
}

impl Worker {
    /// Carries out the action of the job.
    async fn run_action(&mut self) -> JobResult {
        match self.record.request.action {
            Action::Boot => self.persist().await,
            Action::Reboot => self.reboot().await,
            _ if self.is_already_active() => self.after_verify().await,
            _ => {
                self.activate().await?;
                self.verify_and_persist().await
            }
        }
    }

    /// Continues the job, possibly after another worker died. An activation that was interrupted is never trusted, so
    /// the host is rolled back. A worker that starts late continues where another one stopped.
    async fn resume(&mut self, recover: bool) -> JobResult {
        if recover && self.record.is_host_unchanged() && now() > self.record.deadline {
            let message = "the worker did not start before the deadline of the job; nothing was changed";
            return Err(JobFailure::new(ErrorCode::Interrupted, message));
        }
        if self.record.is_host_unchanged() {
            return self.run_action().await;
        }
        let phase = self.record.report.phases.running().map(|phase| phase.name.clone());
        let name = phase.as_ref().map_or("no phase", PhaseName::as_str);
        self.log_line(&format!("resuming the job, which was interrupted in {name}"));
        match phase {
            // A reboot is requested only once.
            Some(PhaseName::Activate) if self.record.request.action == Action::Reboot => {
                self.wait_for_reboot().await
            }
            Some(PhaseName::Verify) => self.verify_and_persist().await,
            Some(PhaseName::Persist) if self.record.request.action == Action::Boot => self.persist().await,
            Some(PhaseName::Persist) if self.runs_new_system() => self.persist().await,
            Some(PhaseName::Rollback) if self.record.rebooting => {
                self.reboot_with_escalation().await;
                let why = "the host did not reboot when requested".to_owned();
                Err(JobFailure {
                    rolled_back: Some(false),
                    ..JobFailure::new(ErrorCode::RollbackFailed, why)
                })
            }
            Some(PhaseName::Rollback) => {
                let report = &self.record.report;
                let code = report.error.clone().unwrap_or(ErrorCode::ActivationFailed);
                let why = JobFailure::new(code, report.message.clone());
                Err(self.roll_back(why).await)
            }
            _ => {
                let died = format!("the activation was interrupted in {name}");
                Err(self.roll_back(JobFailure::new(ErrorCode::ActivationFailed, died)).await)
            }
        }
    }

    /// Whether the target system already runs without failed units, so that there is nothing to activate.
    fn is_already_active(&self) -> bool {
        let old = self.record.previous.as_ref();
        self.runs_new_system() && old.is_none_or(|old| old.failed_units.is_empty())
    }

    /// Whether the target system is the running one.
    fn runs_new_system(&self) -> bool {
        let target = self.record.report.system.as_deref();
        target.is_some() && self.host.current_system().as_deref() == target
    }

    fn is_rolling_back(&self) -> bool {
        self.record.report.phases.running().is_some_and(|phase| phase.name == PhaseName::Rollback)
    }

    /// Whether an activation was started, so that the running system may have changed.
    fn was_activated(&self) -> bool {
        let activate = self.record.report.phases.0.iter().find(|phase| phase.name == PhaseName::Activate);
        activate.is_some_and(|phase| !matches!(phase.state, PhaseState::Pending | PhaseState::Skipped))
    }

    /// Where output is written if the job's log cannot be written.
    fn fallback_log(&self) -> PathBuf {
        self.host.runtime_dir().join(self.record.request.id.as_str()).join("log")
    }

    /// Kills the processes of a worker that died, because its activation would otherwise run in parallel.
    async fn kill_predecessor(&self) {
        let unit = self.record.unit.clone().filter(|unit| own_unit().as_ref() != Some(unit));
        if let Some(unit) = unit {
            self.systemd.kill(&unit).await;
        }
    }

    /// Counts this worker, which has taken over after another one died.
    fn count_recovery(&mut self) -> u32 {
        self.record.recoveries += 1;
        // Saved even if the disk is full, because otherwise the number of recoveries would be unlimited.
        let _ = self.job_dir.save_with_fallback(&self.record);
        self.record.recoveries
    }

    /// Ends a job whose workers die repeatedly. A reboot may still restore the previous system.
    async fn give_up(&mut self) -> JobFailure {
        let why = format!("the worker died {MAX_RECOVERIES} times");
        let has_changed = self.was_activated() && self.has_system_changed();
        let why = if has_changed { self.reboot_to_old_system(&why).await.err().unwrap_or(why) } else { why };
        let runs = self.host.current_system().unwrap_or_else(|| "an unknown system".to_owned());
        let message = format!("{why}; {runs} runs now; check the host and its log");
        JobFailure {
            rolled_back: has_changed.then_some(false),
            ..JobFailure::new(ErrorCode::Interrupted, message)
        }
    }

    /// Whether the running system is another one than before the job.
    fn has_system_changed(&self) -> bool {
        self.host.current_system() != self.record.previous.as_ref().and_then(|old| old.system.clone())
    }

    async fn activate(&mut self) -> Result<(), JobFailure> {
        self.record.handover.get_or_insert_with(|| self.handover.clone()).starts = self.starts();
        self.enter_phase(&PhaseName::Activate)?;
        let system = self.system()?;
        let old = self.record.previous.as_ref().and_then(|old| old.system.clone());
        let unit = self.handover.listener_unit.clone();
        let credentials = |of: Option<&str>| {
            let of = of.zip(unit.as_deref());
            of.map(|(system, unit)| connection_deps::credentials(Path::new(system), unit)).unwrap_or_default()
        };
        let credentials_before = credentials(old.as_deref());
        let limit = Duration::from_secs(self.handover.activate_timeout_s);
        let switched = self.switch_to(&system, "test", limit).await?;
        self.activated_at = Instant::now();
        let current = self.host.current_system();
        let running =
            RunningSystem { is_target: current.as_deref() == Some(&*system), has_changed: current != old };
        let known = KnownFailures::of(&self.state_dir, old.as_deref());
        let activated = exit_status::classify(&switched.ended, &switched.output, running, &known);
        let units = switched.output.units();
        match activated {
            ActivationResult::Done | ActivationResult::SomeUnitsFailed => {}
            ActivationResult::Busy => {
                return Err(JobFailure::new(ErrorCode::ActivationFailed, exit_status::BUSY));
            }
            ActivationResult::NothingChanged(why) => {
                return Err(JobFailure::new(ErrorCode::ActivationFailed, why));
            }
            ActivationResult::Broken(why) => {
                return Err(self.roll_back(JobFailure::new(ErrorCode::ActivationFailed, why)).await);
            }
        }
        let output = switched.output;
        if !output.failed_snippets.is_empty() {
            let parts = output.failed_snippets.join(", ");
            self.notes.push(format!("{parts} failed in the activation script, as in the previous system"));
        }
        if !known.is_empty() || !output.failed_snippets.is_empty() {
            self.save_failed_snippets(&system, &output.failed_snippets);
        }
        self.notes.extend(output.failed_users.into_iter().take(MAX_NOTES));
        self.listener_renewed = unit.as_ref().is_some_and(|unit| units.restarted.contains(unit));
        let comparison = connection_deps::SystemComparison {
            old: Path::new(old.as_deref().unwrap_or("/")),
            new: Path::new(&system),
            units: &units,
            listener_unit: unit.as_deref(),
        };
        let credential = || "the credentials of the listener".to_owned();
        let same_credentials = credentials_before == credentials(Some(&system));
        self.changed_dependency =
            comparison.changed_dependency().or_else(|| (!same_credentials).then(credential));
        self.record.connection_touched = self.changed_dependency.is_some();
        self.refused_units = [output.failed_jobs, units.failed].concat();
        self.not_reloaded_units = output.failed_reloads;
        Ok(())
    }

    /// Saves the snippets that failed in the activation of a system that stays. Errors are only logged: without the
    /// file, the next deployment may roll back needlessly, which is not worth a failure now.
    fn save_failed_snippets(&self, system: &str, snippets: &[String]) {
        if let Err(error) = KnownFailures::save(&self.state_dir, system, snippets) {
            self.log_line(&error.to_string());
        }
    }

    async fn verify_and_persist(&mut self) -> JobResult {
        let verified = match self.enter_phase(&PhaseName::Verify) {
            Ok(()) => self.verify().await,
            failed => failed,
        };
        if let Err(failure) = verified {
            return Err(self.roll_back(failure).await);
        }
        self.after_verify().await
    }

    async fn after_verify(&mut self) -> JobResult {
        if self.record.request.action == Action::Test {
            return Ok("test done; the next boot returns to the previous system".to_owned());
        }
        self.persist().await
    }

    /// How many times the listener's service has started.
    fn starts(&self) -> u64 {
        ServiceIdentity::read(&self.state_dir).map_or(0, |identity| identity.starts)
    }

    /// The store path of the new system.
    fn system(&self) -> Result<String, JobFailure> {
        let missing =
            || JobFailure::new(ErrorCode::Internal, "the record has no system; nothing was changed");
        self.record.report.system.clone().map(String::from).ok_or_else(missing)
    }

    /// Records the start of a phase. If this fails, nothing may be changed.
    fn enter_phase(&mut self, phase: &PhaseName) -> Result<(), JobFailure> {
        self.update_phase_time();
        self.record.report.phases.enter(phase);
        self.phase_started_at = Instant::now();
        phase.as_str().clone_into(&mut self.record.report.message);
        self.save()
    }

    /// Saves the record. During a rollback, it falls back to memory, so that a full disk does not stop the rollback.
    fn save(&self) -> Result<(), JobFailure> {
        let saved = if self.is_rolling_back() {
            self.job_dir.save_with_fallback(&self.record)
        } else {
            self.job_dir.save(&self.record)
        };
        saved.map_err(|error| {
            JobFailure::new(ErrorCode::Unhealthy, format!("could not save the next step: {error}"))
        })
    }

    fn update_phase_time(&mut self) {
        let elapsed = u64::try_from(self.phase_started_at.elapsed().as_millis()).unwrap_or(u64::MAX);
        let running = |phase: &&mut crate::protocol::Phase| phase.state == PhaseState::Running;
        if let Some(phase) = self.record.report.phases.0.iter_mut().find(running) {
            phase.elapsed_ms = elapsed;
        }
    }

    /// Appends a line to the job's log. Errors are ignored, because an unwritable log must not end an activation.
    fn log_line(&self, line: &str) {
        if let Ok(mut log) = JobLog::open(&self.job_dir.log()) {
            let _ = log.line(line);
        }
    }

    /// Saves the result.
    async fn finish(&mut self, result: JobResult) -> Result<(), WorkerError> {
        self.update_phase_time();
        let before = self.record.report.elapsed_ms.unwrap_or(0);
        let ours = u64::try_from(self.started_at.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.record.report.elapsed_ms = Some(before.saturating_add(ours));
        let report = &mut self.record.report;
        match result {
            Ok(message) => {
                report.phases.end(&PhaseState::Done);
                report.status = Status::Completed;
                let notes = std::mem::take(&mut self.notes);
                report.message = [vec![message], notes].concat().join("; ");
                let booted = self.host.root.join("run/booted-system");
                let system = report.system.as_ref();
                report.reboot_needed =
                    system.and_then(|system| reboot_needed(&booted, Path::new(system.as_str())));
            }
            Err(failure) => {
                // The rollback may have succeeded; the phase that failed is marked already.
                let state =
                    if failure.rolled_back == Some(true) { PhaseState::Done } else { PhaseState::Failed };
                report.phases.end(&state);
                report.status = Status::Failed;
                report.error = Some(failure.code);
                report.rolled_back = failure.rolled_back;
                report.message = failure.message;
                self.diagnose().await;
            }
        }
        self.log_line(&format!("{}: {}", self.record.report.status, self.record.report.message));
        self.job_dir.release_reserve();
        // This was the last line of the log.
        self.job_dir.trim_log();
        self.job_dir.save_with_fallback(&self.record)?;
        Ok(())
    }

    /// Adds diagnostics to the report and saves them in the job's directory. The listener shortens those of the report.
    async fn diagnose(&mut self) {
        let mut journals = Vec::new();
        for unit in &self.record.report.failed_units {
            journals.push((unit.clone(), self.systemd.journal(unit, JOURNAL_LINES).await));
        }
        let text = collect_diagnostics(&self.job_dir, &journals, &Facts::read(&self.host.root));
        save_diagnostics(&self.job_dir, &text);
        self.record.report.diagnostics = Some(text);
    }
}

fn log_failed(error: &io::Error) -> JobFailure {
    JobFailure::new(ErrorCode::Internal, format!("could not use the log of the job: {error}"))
}
