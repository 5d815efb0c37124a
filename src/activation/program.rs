//! The activation program: owns a job from the first change of the host to the verdict, whatever becomes of the
//! listener, of the network, and of itself.
//!
//! It writes each step down before it takes it, so that whoever comes after knows what may have happened.

mod child;
mod diagnostics;
mod known_failures;
mod output;
mod persist;
mod prove;
mod rollback;
mod switch;
mod touched;
mod unit_watch;
mod verdict;
mod verify;

use super::{Failure, HostPaths, JobLog, Outcome, ServiceManager, own_unit};
use crate::jobs::{ActivationLock, JobFolder, Orders, Record, StoreError, now};
use crate::nix::reboot_needed;
use crate::protocol::{Action, ErrorCode, Id, PhaseName, PhaseState, Status};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::Instant;
use verdict::{Activated, Running};

pub(super) use verdict::{AT_BOOT, BUSY};

/// How long the boot loader may take.
const BOOT_LOADER: Duration = Duration::from_mins(15);
/// How long one attempt to roll back may take.
const ROLLBACK: Duration = Duration::from_mins(10);

/// How many failures in the service managers of users are reported.
const MAX_NOTES: usize = 5;
/// How many workers may take one job over from one that died. Something else must be wrong then.
const MAX_RECOVERIES: u32 = 5;

/// Why the program could not do its work at all.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// The record.
    #[error(transparent)]
    Record(#[from] StoreError),
    /// The lock.
    #[error("could not take the lock of {}: {source}", state_dir.display())]
    Lock {
        /// The state directory.
        state_dir: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The job was never handed over.
    #[error("job {0} was not handed over; nothing was done")]
    NotOurs(Id),
}

/// The program at work on one job.
struct Program {
    state_dir: PathBuf,
    folder: JobFolder,
    record: Record,
    orders: Orders,
    host: HostPaths,
    units: ServiceManager,
    begun: Instant,
    phase_begun: Instant,
    /// Whether the activation itself started the listener anew, with all that is new for it.
    listener_renewed: bool,
    /// When the activation ended.
    activated_at: Instant,
    /// What the activation touched that the connection depends on. Unknown, and so possible, for a worker that did not see
    /// it.
    touched: Option<String>,
    /// Units that systemd refused to start, restart or stop.
    refused_units: Vec<String>,
    /// Units that could not be reloaded.
    not_reloaded_units: Vec<String>,
    /// What the report says beside its result.
    notes: Vec<String>,
    /// Whether the rollback has restored the boot loader.
    boot_loader_restored: bool,
    _lock: ActivationLock,
}

/// Carries a job from its check to its verdict; with `recover`, from wherever whoever owned it has died. Does nothing
/// where the verdict stands already or another process works on it.
pub async fn run(state_dir: &Path, root: &Path, id: &Id, recover: bool) -> Result<(), ProgramError> {
    let lock = ActivationLock::take_patiently(state_dir)
        .map_err(|source| ProgramError::Lock { state_dir: state_dir.to_owned(), source })?;
    let Some(lock) = lock else { return Ok(()) };
    let mut host = HostPaths { root: root.to_owned(), ..HostPaths::default() };
    let folder = JobFolder::new(state_dir, id).with_runtime(&host.runtime_dir());
    let record = folder.record()?;
    if record.is_final() {
        return Ok(());
    }
    let orders = record.orders.clone().ok_or_else(|| ProgramError::NotOurs(id.clone()))?;
    host.profile = PathBuf::from(&orders.profile);
    let units = ServiceManager::new(host.has_systemd());
    // What was begun ends with this boot; the listener of the next one tells how.
    if recover && units.is_stopping().await {
        return Ok(());
    }
    let begun = Instant::now();
    let state_dir = state_dir.to_owned();
    let mut program = Program {
        state_dir,
        folder,
        record,
        orders,
        host,
        units,
        begun,
        phase_begun: begun,
        listener_renewed: false,
        activated_at: begun,
        touched: Some("what is not known".to_owned()),
        refused_units: Vec::new(),
        not_reloaded_units: Vec::new(),
        notes: Vec::new(),
        boot_loader_restored: false,
        _lock: lock,
    };
    if recover {
        program.end_predecessor().await;
    }
    program.record.unit = units.is_there().then(own_unit).flatten();
    let outcome = if recover && program.count_recovery() > MAX_RECOVERIES {
        Err(program.give_up().await)
    } else {
        program.go_on(recover).await
    };
    program.conclude(outcome).await
}

impl Program {
    /// The way of a job when all goes well.
    async fn forward(&mut self) -> Outcome {
        match self.record.request.action {
            Action::Boot => self.persist().await,
            Action::Reboot => self.reboot().await,
            _ if self.is_there() => self.after_verify().await,
            _ => {
                self.activate().await?;
                self.verify_and_go_on().await
            }
        }
    }

    /// What is left to do, also after somebody died. A death in the middle of an activation is never trusted, and whoever
    /// comes late to a job finds how far another one took it.
    async fn go_on(&mut self, recover: bool) -> Outcome {
        if recover && self.record.is_untouched() && now() > self.record.deadline {
            let message = "the worker never began before the time of the job was over; nothing was changed";
            return Err(Failure::new(ErrorCode::Interrupted, message));
        }
        if self.record.is_untouched() {
            return self.forward().await;
        }
        let phase = self.record.report.phases.running().map(|phase| phase.name.clone());
        let name = phase.as_ref().map_or("no phase", PhaseName::as_str);
        self.say(&format!("taking up a job that was left in {name}"));
        match phase {
            // Never asked for twice.
            Some(PhaseName::Activate) if self.record.request.action == Action::Reboot => {
                self.await_reboot().await
            }
            Some(PhaseName::Verify) => self.verify_and_go_on().await,
            Some(PhaseName::Persist) if self.record.request.action == Action::Boot => self.persist().await,
            Some(PhaseName::Persist) if self.runs_new() => self.persist().await,
            Some(PhaseName::Rollback) if self.record.rebooting => {
                self.reboot_whatever_it_takes().await;
                let why = "the host did not reboot when it was asked to".to_owned();
                Err(Failure { rolled_back: Some(false), ..Failure::new(ErrorCode::RollbackFailed, why) })
            }
            Some(PhaseName::Rollback) => {
                let report = &self.record.report;
                let code = report.error.clone().unwrap_or(ErrorCode::ActivationFailed);
                let why = Failure::new(code, report.message.clone());
                Err(self.go_back(why).await)
            }
            _ => {
                let died = format!("the activation died in {name}");
                Err(self.go_back(Failure::new(ErrorCode::ActivationFailed, died)).await)
            }
        }
    }

    /// Whether the wanted system is the running one and nothing is wrong with it, so that there is nothing to activate.
    fn is_there(&self) -> bool {
        let old = self.record.old.as_ref();
        self.runs_new() && old.is_none_or(|old| old.failed_units.is_empty())
    }

    /// Whether the wanted system is the running one.
    fn runs_new(&self) -> bool {
        let wanted = self.record.report.system.as_deref();
        wanted.is_some() && self.host.current_system().as_deref() == wanted
    }

    /// Whether the host is being rolled back.
    fn is_rolling_back(&self) -> bool {
        self.record.report.phases.running().is_some_and(|phase| phase.name == PhaseName::Rollback)
    }

    /// Whether an activation was begun, so that what runs may have changed.
    fn was_activated(&self) -> bool {
        let activate = self.record.report.phases.0.iter().find(|phase| phase.name == PhaseName::Activate);
        activate.is_some_and(|phase| !matches!(phase.state, PhaseState::Pending | PhaseState::Skipped))
    }

    /// Where output goes that the job's log does not take.
    fn other_log(&self) -> PathBuf {
        self.host.runtime_dir().join(self.record.request.id.as_str()).join("log")
    }

    /// Ends what a worker that died has left running: its activation would go on beside ours.
    async fn end_predecessor(&self) {
        let unit = self.record.unit.clone().filter(|unit| own_unit().as_ref() != Some(unit));
        if let Some(unit) = unit {
            self.units.kill(&unit).await;
        }
    }

    /// Counts this worker, which has taken over from one that died.
    fn count_recovery(&mut self) -> u32 {
        self.record.recoveries += 1;
        // Also on a full disk, or it would never end.
        let _ = self.folder.save_anywhere(&self.record);
        self.record.recoveries
    }

    /// Ends a job whose workers die again and again; a reboot may still lead to the old system.
    async fn give_up(&mut self) -> Failure {
        let why = format!("the activation program has died {MAX_RECOVERIES} times");
        let moved = self.was_activated() && self.has_moved();
        let why = if moved { self.reboot_back(&why).await.err().unwrap_or(why) } else { why };
        let runs = self.host.current_system().unwrap_or_else(|| "an unknown system".to_owned());
        let message = format!("{why}; {runs} runs now; look at the host and its log");
        Failure { rolled_back: moved.then_some(false), ..Failure::new(ErrorCode::Interrupted, message) }
    }

    /// Whether another system runs than before.
    fn has_moved(&self) -> bool {
        self.host.current_system() != self.record.old.as_ref().and_then(|old| old.system.clone())
    }

    async fn activate(&mut self) -> Result<(), Failure> {
        self.record.orders.get_or_insert_with(|| self.orders.clone()).starts = self.starts();
        self.enter(&PhaseName::Activate)?;
        let system = self.system()?;
        let old = self.record.old.as_ref().and_then(|old| old.system.clone());
        let unit = self.orders.listener_unit.clone();
        let credentials = |of: Option<&str>| {
            let of = of.zip(unit.as_deref());
            of.map(|(system, unit)| touched::credentials(Path::new(system), unit)).unwrap_or_default()
        };
        let credentials_before = credentials(old.as_deref());
        let limit = Duration::from_secs(self.orders.activate_timeout_s);
        let switched = self.switch_to(&system, "test", limit).await?;
        self.activated_at = Instant::now();
        let current = self.host.current_system();
        let running = Running { wanted: current.as_deref() == Some(&*system), moved: current != old };
        let known = self.failed_snippets(old.as_deref());
        let activated = verdict::judge(&switched.ended, &switched.output, running, &known);
        let units = switched.output.units();
        match activated {
            Activated::Done | Activated::SomeUnitsFailed => {}
            Activated::Busy => return Err(Failure::new(ErrorCode::ActivationFailed, verdict::BUSY)),
            Activated::NothingChanged(why) => return Err(Failure::new(ErrorCode::ActivationFailed, why)),
            Activated::Broken(why) => {
                return Err(self.go_back(Failure::new(ErrorCode::ActivationFailed, why)).await);
            }
        }
        let output = switched.output;
        if !output.failed_snippets.is_empty() {
            let parts = output.failed_snippets.join(", ");
            self.notes.push(format!("{parts} failed in the activation script, as in the system before"));
        }
        if !known.is_empty() || !output.failed_snippets.is_empty() {
            self.keep_failed_snippets(&system, &output.failed_snippets);
        }
        self.notes.extend(output.failed_users.into_iter().take(MAX_NOTES));
        self.listener_renewed = unit.as_ref().is_some_and(|unit| units.restarted.contains(unit));
        let comparison = touched::Comparison {
            old: Path::new(old.as_deref().unwrap_or("/")),
            new: Path::new(&system),
            units: &units,
            listener_unit: unit.as_deref(),
        };
        let credential = || "the credentials of the listener".to_owned();
        let same_credentials = credentials_before == credentials(Some(&system));
        self.touched = comparison.touched().or_else(|| (!same_credentials).then(credential));
        self.record.connection_touched = self.touched.is_some();
        self.refused_units = [output.failed_jobs, units.failed].concat();
        self.not_reloaded_units = output.failed_reloads;
        Ok(())
    }

    async fn verify_and_go_on(&mut self) -> Outcome {
        let verified = match self.enter(&PhaseName::Verify) {
            Ok(()) => self.verify().await,
            failed => failed,
        };
        if let Err(failure) = verified {
            return Err(self.go_back(failure).await);
        }
        self.after_verify().await
    }

    async fn after_verify(&mut self) -> Outcome {
        if self.record.request.action == Action::Test {
            return Ok("test done; the next boot brings the system before it back".to_owned());
        }
        self.persist().await
    }

    /// How often the service has started by now.
    fn starts(&self) -> u64 {
        crate::jobs::Identity::read(&self.state_dir).map_or(0, |identity| identity.starts)
    }

    /// The store path of the new system.
    fn system(&self) -> Result<String, Failure> {
        let missing = || Failure::new(ErrorCode::Internal, "the record names no system; nothing was changed");
        self.record.report.system.clone().map(String::from).ok_or_else(missing)
    }

    /// Writes down that a phase begins, before it does. Without that nothing is changed.
    fn enter(&mut self, phase: &PhaseName) -> Result<(), Failure> {
        self.time_phase();
        self.record.report.phases.enter(phase);
        self.phase_begun = Instant::now();
        phase.as_str().clone_into(&mut self.record.report.message);
        self.save()
    }

    /// Writes the record down. A rollback is not kept up by a disk that takes nothing.
    fn save(&self) -> Result<(), Failure> {
        let saved = if self.is_rolling_back() {
            self.folder.save_anywhere(&self.record)
        } else {
            self.folder.save(&self.record)
        };
        saved.map_err(|error| {
            Failure::new(ErrorCode::Unhealthy, format!("could not write down what is done next: {error}"))
        })
    }

    fn time_phase(&mut self) {
        let elapsed = u64::try_from(self.phase_begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let running = |phase: &&mut crate::protocol::Phase| phase.state == PhaseState::Running;
        if let Some(phase) = self.record.report.phases.0.iter_mut().find(running) {
            phase.elapsed_ms = elapsed;
        }
    }

    /// Says something in the job's log. A log that cannot be written must not end an activation.
    fn say(&self, line: &str) {
        if let Ok(mut log) = JobLog::open(&self.folder.log()) {
            let _ = log.line(line);
        }
    }

    /// Writes the verdict down.
    async fn conclude(&mut self, outcome: Outcome) -> Result<(), ProgramError> {
        self.time_phase();
        let before = self.record.report.elapsed_ms.unwrap_or(0);
        let ours = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.record.report.elapsed_ms = Some(before.saturating_add(ours));
        let report = &mut self.record.report;
        match outcome {
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
                // Going back may have succeeded; what failed is marked already.
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
        self.say(&format!("{}: {}", self.record.report.status, self.record.report.message));
        self.folder.release_reserve();
        // Nothing more is logged.
        self.folder.trim_log();
        self.folder.save_anywhere(&self.record)?;
        Ok(())
    }
}

fn log_failed(error: &io::Error) -> Failure {
    Failure::new(ErrorCode::Internal, format!("could not keep the log of the job: {error}"))
}
