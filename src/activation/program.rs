//! The activation program: owns a job from the first change of the host to the verdict, whatever becomes of the
//! listener, of the network, and of itself.
//!
//! It writes each step down before it takes it, so that whoever comes after knows what may have happened.

mod child;
mod diagnostics;
mod persist;
mod prove;
mod rollback;
mod verdict;
mod verify;

use super::{Failure, HostPaths, JobLog, Outcome, ServiceManager, own_unit};
use crate::jobs::{ActivationLock, JobFolder, Orders, Record, StoreError};
use crate::nix::{reboot_needed, units_of_activation};
use crate::protocol::{Action, ErrorCode, Id, PhaseName, PhaseState, Status};
use child::Ended;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::process::Command;
use tokio::time::Instant;
use verdict::Activated;

/// How long an activation may take.
const ACTIVATE: Duration = Duration::from_mins(5);
/// How long going back may take.
const ROLLBACK: Duration = Duration::from_mins(10);

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
    _lock: ActivationLock,
}

/// Carries a job from its check to its verdict; with `recover`, from wherever whoever owned it has died. Does nothing
/// where the verdict stands already or another process works on it.
pub async fn run(state_dir: &Path, root: &Path, id: &Id, recover: bool) -> Result<(), ProgramError> {
    let lock = ActivationLock::take_patiently(state_dir)
        .map_err(|source| ProgramError::Lock { state_dir: state_dir.to_owned(), source })?;
    let Some(lock) = lock else { return Ok(()) };
    let folder = JobFolder::new(state_dir, id);
    let record = folder.record()?;
    if record.is_final() {
        return Ok(());
    }
    let orders = record.orders.clone().ok_or_else(|| ProgramError::NotOurs(id.clone()))?;
    let host = HostPaths { root: root.to_owned(), profile: PathBuf::from(&orders.profile) };
    let units = ServiceManager::new(host.has_systemd());
    // What was begun ends with this boot; the listener of the next one tells how.
    if recover && units.is_stopping().await {
        return Ok(());
    }
    let now = Instant::now();
    let state_dir = state_dir.to_owned();
    let mut program = Program {
        state_dir,
        folder,
        record,
        orders,
        host,
        units,
        begun: now,
        phase_begun: now,
        listener_renewed: false,
        _lock: lock,
    };
    program.record.unit = units.is_there().then(own_unit).flatten();
    let outcome = program.go_on().await;
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
    async fn go_on(&mut self) -> Outcome {
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

    /// Whether another system runs than before.
    fn has_moved(&self) -> bool {
        self.host.current_system() != self.record.old.as_ref().and_then(|old| old.system.clone())
    }

    async fn activate(&mut self) -> Result<(), Failure> {
        self.record.orders.get_or_insert_with(|| self.orders.clone()).starts = self.starts();
        self.enter(&PhaseName::Activate)?;
        let ended = self.switch_to(&self.system()?, "test", ACTIVATE).await?;
        match verdict::judge(&ended) {
            Activated::Done | Activated::SomeUnitsFailed => {
                let unit = self.orders.listener_unit.as_deref();
                self.listener_renewed = unit.is_some_and(|unit| {
                    units_of_activation(&ended.said).restarted.iter().any(|restarted| restarted == unit)
                });
                Ok(())
            }
            Activated::Busy => Err(Failure::new(ErrorCode::ActivationFailed, verdict::BUSY)),
            // Some endings say that nothing was changed and are told after the change as well.
            Activated::NothingChanged(why) if self.has_moved() => {
                Err(self.go_back(Failure::new(ErrorCode::ActivationFailed, why)).await)
            }
            Activated::NothingChanged(why) => Err(Failure::new(ErrorCode::ActivationFailed, why)),
            Activated::Broken(why) => Err(self.go_back(Failure::new(ErrorCode::ActivationFailed, why)).await),
        }
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

    /// Runs a closure's own `switch-to-configuration`.
    async fn switch_to(&self, system: &str, action: &str, limit: Duration) -> Result<Ended, Failure> {
        let mut command = Command::new(Path::new(system).join("bin/switch-to-configuration"));
        command.arg(action);
        child::run(command, &self.folder.log(), limit).await.map_err(|error| log_failed(&error))
    }

    /// Writes down that a phase begins, before it does. Without that nothing is changed.
    fn enter(&mut self, phase: &PhaseName) -> Result<(), Failure> {
        self.time_phase();
        self.record.report.phases.enter(phase);
        self.phase_begun = Instant::now();
        phase.as_str().clone_into(&mut self.record.report.message);
        self.save()
    }

    fn save(&self) -> Result<(), Failure> {
        self.folder.save(&self.record).map_err(|error| {
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
                report.message = message;
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
        self.folder.save(&self.record)?;
        Ok(())
    }
}

fn log_failed(error: &io::Error) -> Failure {
    Failure::new(ErrorCode::Internal, format!("could not keep the log of the job: {error}"))
}
