//! What becomes of a job whose listener went away before its result: a pure decision.

use super::Record;
use crate::protocol::{Action, ErrorCode, PhaseName, PhaseState, Status};
use jiff::Timestamp;

/// How often a job is restarted before its listener counts as dying of it.
const MAX_RESTARTS: u32 = 2;

/// The decision about one unfinished job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resume {
    /// Nothing was changed yet, on this boot, and there is time: do it again; nix continues where it was.
    Again,
    /// It was handed over on this boot: follow whoever owns it, or start the recovery; or a program was started for it.
    Follow,
    /// It has reached what it was to reach, which this message says.
    Completed(String),
    /// Its rollback was to reboot the host, which has happened.
    RolledBack,
    /// It ends with this error, for this reason.
    Failed(ErrorCode, String),
}

/// The host as a starting listener finds it.
#[derive(Debug, Clone, Copy)]
pub struct HostNow<'a> {
    /// The time by its clock.
    pub now: Timestamp,
    /// Which boot this is, if that is known.
    pub boot_id: Option<&'a str>,
    /// The store path of the running system.
    pub system: Option<&'a str>,
    /// The generation that the system profile is at.
    pub generation: Option<u64>,
}

impl Record {
    /// What to do about this job.
    pub fn resume(&self, host: HostNow) -> Resume {
        if let Some(command) = &self.external_command {
            let is_same_boot = command.boot_id.as_deref() == host.boot_id;
            return if is_same_boot { Resume::Follow } else { self.interrupted("the host restarted") };
        }
        if self.orders.is_some() { self.resume_handed_over(host) } else { self.resume_own(host) }
    }

    fn resume_handed_over(&self, host: HostNow) -> Resume {
        let then = self.old.as_ref().and_then(|old| old.boot_id.as_deref());
        if then == host.boot_id {
            return Resume::Follow;
        }
        let (action, report) = (&self.request.action, &self.report);
        if *action == Action::Reboot {
            return Resume::Completed("reboot done".to_owned());
        }
        if self.rebooting {
            return Resume::RolledBack;
        }
        // What persists has been verified, and writes its generation down before the boot loader is made. Then the host
        // has booted what the boot loader names, and that is this system.
        let runs = host.system.is_some() && host.system == report.system.as_deref();
        match report.generation.filter(|_| self.phase() == Some(&PhaseName::Persist) && runs) {
            Some(generation) if host.generation == Some(generation) => Resume::Completed(format!(
                "{action} done, generation {generation}; the host restarted in persist, and has booted this system"
            )),
            _ => self.interrupted("the host restarted"),
        }
    }

    fn resume_own(&self, host: HostNow) -> Resume {
        let then = self.boot_id.as_deref().or(self.old.as_ref().and_then(|old| old.boot_id.as_deref()));
        let same_boot = match (then, host.boot_id) {
            (Some(then), Some(now)) if then != now => return self.interrupted("the host restarted"),
            (then, now) => then.is_some() && now.is_some(),
        };
        // The time by which a job must begin binds one that has begun no more, where it is known that it has.
        let has_begun = same_boot && self.phase().is_some();
        let expired = self.request.expires_at.filter(|at| *at < host.now && !has_begun);
        if let Some(at) = expired {
            return self.interrupted(&format!("the request expired at {at:.0}, and the listener went away"));
        }
        if host.now >= self.deadline {
            return self.interrupted("the time for it is over, and the listener went away");
        }
        if self.restarts < MAX_RESTARTS {
            return Resume::Again;
        }
        let times = self.restarts + 1;
        let died =
            format!("the listener died {times} times while it did this job, the last time {}", self.place());
        if self.phase() == Some(&PhaseName::Build) {
            let message = format!(
                "{died}: the host probably ran out of memory (`journalctl -k` tells); have another machine build it \
                 (`deploy --build-first`), add memory or swap, or lower `cores` and `max-jobs` of nix; nothing was changed"
            );
            return Resume::Failed(ErrorCode::BuildFailed, message);
        }
        let message = format!("{died}; look at its journal; nothing was changed");
        Resume::Failed(ErrorCode::Interrupted, message)
    }

    fn interrupted(&self, why: &str) -> Resume {
        Resume::Failed(ErrorCode::Interrupted, format!("{why} while the job was {}", self.place()))
    }

    /// Ends a job that is not resumed, by this decision; `system` is the one that runs now.
    pub fn end(&mut self, decision: Resume, system: Option<&str>) {
        let what_runs =
            system.map_or("look at what runs now".to_owned(), |system| format!("{system} runs now"));
        let (state, status, error, message) = match decision {
            Resume::Completed(message) => (PhaseState::Done, Status::Completed, None, message),
            Resume::Failed(error, why) => {
                (PhaseState::Failed, Status::Failed, Some(error), format!("{why}; {what_runs}"))
            }
            Resume::RolledBack => return self.rolled_back_by_reboot(system),
            Resume::Again | Resume::Follow => {
                let message = format!("the job died {} with its listener; {what_runs}", self.place());
                (PhaseState::Failed, Status::Failed, Some(ErrorCode::Interrupted), message)
            }
        };
        let report = &mut self.report;
        report.phases.end(&state);
        (report.status, report.error, report.message) = (status, error, message);
        report.progress = None;
    }

    /// Ends a job whose host was rebooted because its old system could not be brought back otherwise.
    fn rolled_back_by_reboot(&mut self, current_system: Option<&str>) {
        let old = self.old.as_ref();
        let expected = old.and_then(|old| old.system.as_deref());
        let booted = old.and_then(|old| old.profile_target.as_deref());
        let back = current_system.is_some() && [expected, booted].contains(&current_system);
        self.report.phases.end(if back { &PhaseState::Done } else { &PhaseState::Failed });
        self.report.status = Status::Failed;
        self.report.progress = None;
        self.report.rolled_back = Some(back);
        if !back {
            self.report.error = Some(ErrorCode::RollbackFailed);
        }
        let runs = current_system.unwrap_or("an unknown system");
        self.report.message = format!("{}; the host was rebooted and runs {runs} now", self.report.message);
    }

    fn phase(&self) -> Option<&PhaseName> {
        self.report.phases.running().map(|phase| &phase.name)
    }

    fn place(&self) -> String {
        self.phase().map_or("before its first phase".to_owned(), |phase| format!("in {phase}"))
    }
}
