//! Recovery of a job whose listener died before the result: a pure decision.

use super::JobRecord;
use crate::protocol::{Action, ComponentState, ErrorCode, PhaseName, PhaseState, Status};
use jiff::Timestamp;

/// How often a job is restarted before it counts as the cause of the listener's death.
const MAX_RESTARTS: u32 = 2;
/// How often a job that has changed the host is resumed before it counts as the cause of the listener's death.
const MAX_RESUMES: u32 = 5;

/// The decision about one unfinished job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recovery {
    /// Nothing was changed, the host did not reboot, and there is time left: restart the job. nix reuses finished
    /// builds.
    Restart,
    /// The job was handed over, or an external command was started, during this boot: follow the process that owns it,
    /// or recover it.
    Follow,
    /// The host was changed, without another process that owns the job: the engine resumes it, on this boot or another.
    Resume,
    /// The job has reached its goal; the message describes it.
    Completed(String),
    /// The job's rollback required a reboot, which has happened.
    RolledBack,
    /// The job ends with this error and message.
    Failed(ErrorCode, String),
}

/// The state of the host when the listener starts.
#[derive(Debug, Clone, Copy)]
pub struct CurrentHost<'a> {
    /// The time by the host's clock.
    pub now: Timestamp,
    /// Id of the current boot, if known.
    pub boot_id: Option<&'a str>,
    /// The store path of the running system.
    pub system: Option<&'a str>,
    /// The current generation of the system profile.
    pub generation: Option<u64>,
    /// Whether the engine can resume a job that has changed the host.
    pub can_resume: bool,
}

impl Recovery {
    /// Decides about this job.
    pub fn of(record: &JobRecord, host: CurrentHost) -> Self {
        if let Some(command) = &record.external_command {
            let is_same_boot = command.boot_id.as_deref() == host.boot_id;
            return if is_same_boot { Self::Follow } else { Self::interrupted(record, "the host restarted") };
        }
        if record.handover.is_some() {
            Self::of_handed_over(record, host)
        } else if host.can_resume && !record.is_host_unchanged() {
            Self::of_resumable(record, host)
        } else {
            Self::of_own(record, host)
        }
    }

    fn of_handed_over(record: &JobRecord, host: CurrentHost) -> Self {
        let previous_boot = record.previous.as_ref().and_then(|old| old.boot_id.as_deref());
        if previous_boot == host.boot_id {
            return Self::Follow;
        }
        let (action, report) = (&record.request.action, &record.report);
        if *action == Action::Reboot {
            return Self::Completed("reboot done".to_owned());
        }
        if record.rebooting {
            return Self::RolledBack;
        }
        // A job in persist has been verified, and records its generation before it installs the boot loader. If the
        // host then boots this system, the boot loader entry is the right one.
        let runs = host.system.is_some() && host.system == report.system.as_deref();
        match report.generation.filter(|_| phase(record) == Some(&PhaseName::Persist) && runs) {
            Some(generation) if host.generation == Some(generation) => Self::Completed(format!(
                "{action} done, generation {generation}; the host restarted during persist and booted this system"
            )),
            _ => Self::interrupted(record, "the host restarted"),
        }
    }

    /// The host is between two states, so neither the deadline nor the expiry ends the job.
    fn of_resumable(record: &JobRecord, host: CurrentHost) -> Self {
        if record.request.action == Action::Reboot && record.boot_id.as_deref() != host.boot_id {
            return Self::Completed("reboot done".to_owned());
        }
        if record.restarts < MAX_RESUMES {
            return Self::Resume;
        }
        let message = format!(
            "the listener died {} times during this job, the last time {}; check the listener's journal, then continue \
             with `homelab-deploy resume {}`",
            record.restarts + 1,
            phase_description(record),
            record.report.hostname
        );
        Self::Failed(ErrorCode::Interrupted, message)
    }

    fn of_own(record: &JobRecord, host: CurrentHost) -> Self {
        let previous_boot =
            record.boot_id.as_deref().or(record.previous.as_ref().and_then(|old| old.boot_id.as_deref()));
        let same_boot = match (previous_boot, host.boot_id) {
            (Some(previous_boot), Some(now)) if previous_boot != now => {
                return Self::interrupted(record, "the host restarted");
            }
            (previous_boot, now) => previous_boot.is_some() && now.is_some(),
        };
        // The latest start time does not apply to a job that has already started.
        let has_started = same_boot && phase(record).is_some();
        let expired = record.request.expires_at.filter(|at| *at < host.now && !has_started);
        if let Some(at) = expired {
            return Self::interrupted(
                record,
                &format!("the request expired at {at:.0} and the listener died"),
            );
        }
        if host.now >= record.deadline {
            return Self::interrupted(record, "the deadline has passed and the listener died");
        }
        if record.restarts < MAX_RESTARTS {
            return Self::Restart;
        }
        let times = record.restarts + 1;
        let crash_message = format!(
            "the listener died {times} times during this job, the last time {}",
            phase_description(record)
        );
        if phase(record) == Some(&PhaseName::Build) {
            let message = format!(
                "{crash_message}: the host probably ran out of memory (see `journalctl -k`); build on another machine \
                 (`deploy --build-first`), add memory or swap, or lower `cores` and `max-jobs` of nix; nothing was changed"
            );
            return Self::Failed(ErrorCode::BuildFailed, message);
        }
        let message = format!("{crash_message}; check the listener's journal; nothing was changed");
        Self::Failed(ErrorCode::Interrupted, message)
    }

    fn interrupted(record: &JobRecord, reason: &str) -> Self {
        let when = phase(record).map_or("before the job's first phase".to_owned(), |phase| {
            format!("while the job was in {phase}")
        });
        Self::Failed(ErrorCode::Interrupted, format!("{reason} {when}"))
    }

    /// Ends a job that is not resumed according to the decision; `system` is the running system.
    pub fn finish(self, record: &mut JobRecord, system: Option<&str>) {
        let running_system =
            system.map_or("check which system runs".to_owned(), |system| format!("{system} runs now"));
        let (state, status, error, message) = match self {
            Self::Completed(message) => (PhaseState::Done, Status::Completed, None, message),
            Self::Failed(error, reason) => {
                (PhaseState::Failed, Status::Failed, Some(error), format!("{reason}; {running_system}"))
            }
            Self::RolledBack => return finish_after_reboot(record, system),
            Self::Restart | Self::Follow | Self::Resume => {
                let message = format!(
                    "the job was interrupted {} with its listener; {running_system}",
                    phase_description(record)
                );
                (PhaseState::Failed, Status::Failed, Some(ErrorCode::Interrupted), message)
            }
        };
        let report = &mut record.report;
        report.phases.end(&state);
        let is_done = state == PhaseState::Done;
        report.components.end(if is_done { &ComponentState::Done } else { &ComponentState::Failed });
        (report.status, report.error, report.message) = (status, error, message);
        report.progress = None;
    }
}

/// Ends a job whose host was rebooted because no other way restored the old system.
fn finish_after_reboot(record: &mut JobRecord, current_system: Option<&str>) {
    let old = record.previous.as_ref();
    let expected = old.and_then(|old| old.system.as_deref());
    let booted = old.and_then(|old| old.profile_target.as_deref());
    let is_rolled_back = current_system.is_some() && [expected, booted].contains(&current_system);
    record.report.phases.end(if is_rolled_back { &PhaseState::Done } else { &PhaseState::Failed });
    record.report.components.end(&ComponentState::Failed);
    record.report.status = Status::Failed;
    record.report.progress = None;
    record.report.rolled_back = Some(is_rolled_back);
    if !is_rolled_back {
        record.report.error = Some(ErrorCode::RollbackFailed);
    }
    let runs = current_system.unwrap_or("an unknown system");
    record.report.message = format!("{}; the host was rebooted and runs {runs} now", record.report.message);
}

fn phase(record: &JobRecord) -> Option<&PhaseName> {
    record.report.phases.running().map(|phase| &phase.name)
}

fn phase_description(record: &JobRecord) -> String {
    phase(record).map_or("before its first phase".to_owned(), |phase| format!("in {phase}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Component, DeployReport, DeployRequest, Id, Name};

    /// A job in this phase, on the boot `a`, which was restarted this often.
    fn record(action: Action, phase: &PhaseName, restarts: u32) -> JobRecord {
        let id = Id::new("j1").unwrap_or_else(|error| panic!("{error}"));
        let host = Name::new("chelsty").unwrap_or_else(|error| panic!("{error}"));
        let mut report = DeployReport::new(host, Status::Running, "");
        report.phases = crate::protocol::Phases::pending();
        report.phases.enter(phase);
        let past = Timestamp::UNIX_EPOCH;
        let mut record = JobRecord::new(DeployRequest::new(action, None, id), past, past, 1, report);
        (record.boot_id, record.restarts) = (Some("a".to_owned()), restarts);
        record
    }

    fn decide(record: &JobRecord, boot_id: &str, can_resume: bool) -> Recovery {
        let host = CurrentHost {
            now: Timestamp::UNIX_EPOCH,
            boot_id: Some(boot_id),
            system: None,
            generation: None,
            can_resume,
        };
        Recovery::of(record, host)
    }

    #[test]
    fn a_changed_host_is_resumed_on_any_boot_even_after_the_deadline() {
        for phase in [PhaseName::Activate, PhaseName::Verify, PhaseName::Persist, PhaseName::Rollback] {
            let record = record(Action::Switch, &phase, 0);
            for boot in ["a", "b"] {
                assert_eq!(decide(&record, boot, true), Recovery::Resume, "{phase} {boot}");
                assert_ne!(decide(&record, boot, false), Recovery::Resume, "{phase} {boot}");
            }
        }
        for phase in [PhaseName::Prepare, PhaseName::Build, PhaseName::Check] {
            let record = record(Action::Switch, &phase, 0);
            assert!(matches!(decide(&record, "b", true), Recovery::Failed(..)), "{phase}");
        }
    }

    #[test]
    fn a_job_that_kills_its_listener_is_not_resumed_forever() {
        let decision = |restarts| decide(&record(Action::Switch, &PhaseName::Activate, restarts), "a", true);
        assert_eq!(decision(MAX_RESUMES - 1), Recovery::Resume);
        let Recovery::Failed(error, message) = decision(MAX_RESUMES) else { panic!("it is resumed") };
        assert_eq!(error, ErrorCode::Interrupted);
        assert!(message.contains("the listener died 6 times"), "{message}");
        assert!(message.contains("`homelab-deploy resume chelsty`"), "{message}");
    }

    #[test]
    fn a_reboot_is_done_after_the_next_boot() {
        let record = record(Action::Reboot, &PhaseName::Activate, 0);
        assert_eq!(decide(&record, "b", true), Recovery::Completed("reboot done".to_owned()));
        assert_eq!(decide(&record, "a", true), Recovery::Resume);
    }

    #[test]
    fn components_end_with_the_job() {
        let mut record = record(Action::Switch, &PhaseName::Activate, 0);
        for state in [ComponentState::Done, ComponentState::Running, ComponentState::Pending] {
            record.report.components.update(Component::new(state.as_str(), state.clone()));
        }
        Recovery::Failed(ErrorCode::Interrupted, String::new()).finish(&mut record, None);
        let states: Vec<_> =
            record.report.components.0.into_iter().map(|component| component.state).collect();
        assert_eq!(states, [ComponentState::Done, ComponentState::Failed, ComponentState::Skipped]);
    }
}
