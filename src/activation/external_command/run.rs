//! A running rebuild program, followed to its result by this listener or by one that started later.

use super::output::OutputParser;
use crate::activation::supervised_command::{CommandEnd, GRACE_PERIOD, POLL_INTERVAL, SupervisedCommand};
use crate::activation::{
    HostPaths, JobEvent, JobEvents, JobFailure, JobLog, JobLogTail, JobResult, JobSpec, LogPiece,
};
use crate::clock::now;
use crate::jobs::ExternalCommand;
use crate::nix::FlakeUrl;
use crate::protocol::{Action, ErrorCode, PhaseName};
use std::fs::OpenOptions;
use std::future::ready;
use std::io;
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;
use tokio::time::{Instant, interval};
use tokio_util::sync::CancellationToken;

/// If a program writes nothing for this long after its start, it does not report phases.
const PHASE_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a program that may be changing the host may take to exit after SIGTERM. It is long so that the program can
/// finish a write.
const LONG_GRACE_PERIOD: Duration = Duration::from_mins(2);

/// Follows a program that another listener started.
pub(in crate::activation) async fn follow(
    job: JobSpec,
    events: JobEvents,
    stop: CancellationToken,
    flake: FlakeUrl,
    host: HostPaths,
    silence_limit: Duration,
) -> JobResult {
    let record = job.dir.record().map_err(|error| JobFailure::new(ErrorCode::Internal, error.to_string()))?;
    let Some(external) = record.external_command else {
        let message = "the record of this job has no program to follow";
        return Err(JobFailure::new(ErrorCode::Interrupted, message));
    };
    let command = SupervisedCommand::attach(&job.dir);
    let mut run = ExternalRun::new(&job, events, command, external, flake, host, silence_limit)?;
    run.published = std::fs::metadata(job.dir.log()).map_err(|error| log_failed(&error))?.len();
    run.caught_up = false;
    run.follow(stop).await
}

/// A running rebuild program.
pub(super) struct ExternalRun {
    command: SupervisedCommand,
    external: ExternalCommand,
    tail: JobLogTail,
    output: OutputParser,
    /// Lines of the log before this offset are already published or can be queried.
    published: u64,
    /// Whether the current phase is known; false until this listener has read all earlier output.
    caught_up: bool,
    flake: FlakeUrl,
    host: HostPaths,
    events: JobEvents,
    action: Action,
    log: PathBuf,
    /// The time limit up to the first change.
    timeout: Duration,
    silence_limit: Duration,
    started_at: Instant,
    last_output: Instant,
}

impl ExternalRun {
    pub(super) fn new(
        job: &JobSpec,
        events: JobEvents,
        command: SupervisedCommand,
        external: ExternalCommand,
        flake: FlakeUrl,
        host: HostPaths,
        silence_limit: Duration,
    ) -> Result<Self, JobFailure> {
        let log = job.dir.log();
        let tail = JobLogTail::at(&log, external.log_offset).map_err(|error| log_failed(&error))?;
        let age = Duration::try_from(now().duration_since(external.started_at)).unwrap_or_default();
        let now = Instant::now();
        Ok(Self {
            command,
            tail,
            output: OutputParser::new(&job.request.action),
            published: external.log_offset,
            caught_up: true,
            external,
            flake,
            host,
            events,
            action: job.request.action.clone(),
            log,
            timeout: job.timeout,
            silence_limit,
            started_at: now.checked_sub(age).unwrap_or(now),
            last_output: now,
        })
    }

    /// Follows the program to its end. Dropping the future does not end the program.
    pub(super) async fn follow(mut self, stop: CancellationToken) -> JobResult {
        let mut poll = interval(POLL_INTERVAL);
        let mut has_more = false;
        loop {
            let may_stop = self.caught_up && !self.output.changes_system();
            tokio::select! {
                _ = poll.tick() => {}
                () = ready(()), if has_more => {}
                () = stop.cancelled(), if may_stop => {
                    // The program may have started to change the host without its line being read yet.
                    self.command.catch_up().await;
                    self.enter_noted_phase().await;
                    if self.output.changes_system() {
                        continue;
                    }
                    send_events(&self.events, [JobEvent::Stopping]).await;
                    self.command.end(GRACE_PERIOD).await;
                    self.read_output(true).await?;
                    return Err(stopped(&self.output.phase));
                }
            }
            // The exit is checked before reading, so that the log already holds all output if the program has ended.
            let exit = self.command.ended();
            has_more = self.read_output(false).await?;
            if let Some(exit) = exit {
                return self.result(exit).await;
            }
            if !has_more {
                self.enter_noted_phase().await;
            }
            self.caught_up |= !has_more;
            if self.caught_up && self.started_at.elapsed() > PHASE_TIMEOUT {
                send_events(&self.events, self.output.assume_phase()).await;
            }
            if self.is_hung() {
                return Err(self.end_hung().await);
            }
        }
    }

    /// Publishes some of the new output, and returns whether there was any.
    async fn read_output(&mut self, last: bool) -> Result<bool, JobFailure> {
        let (flake, log) = (&self.flake, &self.log);
        let mask = |offset, text: String| {
            let masked = flake.mask(&text);
            redact_log(log, offset, &text, &masked);
            masked
        };
        let pieces = self.tail.read_masked(last, mask).map_err(|error| log_failed(&error))?;
        let any = !pieces.is_empty();
        for LogPiece { offset, text } in pieces {
            let is_published = offset + text.len() as u64 <= self.published;
            let mut events = self.output.parse(LogPiece { offset, text });
            if is_published {
                events.retain(|event| !matches!(event, JobEvent::Log(_)));
            }
            send_events(&self.events, events).await;
        }
        if any {
            self.last_output = Instant::now();
        }
        Ok(any)
    }

    /// Enters the phase that the supervisor has recorded, if its line was not read yet or could not be written.
    async fn enter_noted_phase(&mut self) {
        let event = self.command.phase().and_then(|phase| self.output.enter(phase));
        send_events(&self.events, event).await;
    }

    /// Whether the program seems to hang. It waits for other processes, so CPU time is not a useful measure; only its
    /// output is.
    fn is_hung(&self) -> bool {
        self.output.changes_system()
            && self.started_at.elapsed() >= self.timeout
            && self.silent_for() >= self.silence_limit
    }

    /// Time since the last output, including output that is held back from the log.
    fn silent_for(&self) -> Duration {
        let silence = self.last_output.elapsed();
        self.command.silent_for().map_or(silence, |other| other.min(silence))
    }

    /// Ends a program that hangs while it may be changing the host.
    async fn end_hung(&mut self) -> JobFailure {
        let silent = self.silent_for().as_secs();
        let phase = self.output.phase.clone();
        let note = format!(
            "no output for {silent} s in {phase}: ending {} with SIGTERM, with SIGKILL after {} s",
            self.external.program,
            LONG_GRACE_PERIOD.as_secs()
        );
        // A failure to log is harmless, because the report says the same.
        let _ = JobLog::open(&self.log).and_then(|mut log| log.line(&note));
        let exit = self.command.end(LONG_GRACE_PERIOD).await;
        while self.read_output(true).await.unwrap_or(false) {}
        let how = match exit {
            CommandEnd::WaitStatus(status) => ExitStatus::from_raw(status).to_string(),
            CommandEnd::NotStarted(_) | CommandEnd::Lost => "killed".to_owned(),
        };
        let unknown = || "unknown".to_owned();
        let runs = self.host.current_system().unwrap_or_else(unknown);
        let profile = self.host.profile_target().unwrap_or_else(unknown);
        let message = format!(
            "{} wrote nothing for {silent} s in {phase} and was ended ({how}); the host may be between two systems: the \
             running one is {runs}, the system profile is {profile}, and the boot loader may name another; check these \
             and the log, then deploy again",
            self.external.program
        );
        JobFailure::new(ErrorCode::ActivationFailed, message)
    }

    async fn result(mut self, exit: CommandEnd) -> JobResult {
        let program = &self.external.program;
        let exit = match exit {
            CommandEnd::NotStarted(reason) => {
                let reason = format!("could not start {program}: {reason}");
                return Err(JobFailure::new(ErrorCode::Internal, format!("{reason}; nothing was changed")));
            }
            CommandEnd::WaitStatus(status) => Some(ExitStatus::from_raw(status)),
            CommandEnd::Lost => None,
        };
        while self.read_output(true).await? {}
        send_events(&self.events, self.output.assume_phase()).await;
        let Some(exit) = exit else { return Err(self.lost().await) };
        if exit.success() {
            return Ok(self.output.note.unwrap_or_else(|| format!("{} done", self.action)));
        }
        let phase = self.output.phase;
        let code = match phase {
            PhaseName::Build => ErrorCode::BuildFailed,
            PhaseName::Check => ErrorCode::CheckRefused,
            PhaseName::Activate => ErrorCode::ActivationFailed,
            PhaseName::Verify => ErrorCode::VerificationFailed,
            PhaseName::Persist => ErrorCode::PersistFailed,
            PhaseName::Rollback => ErrorCode::RollbackFailed,
            _ => ErrorCode::Internal,
        };
        let detail = match self.output.note.unwrap_or(self.output.last_line) {
            detail if detail.is_empty() => String::new(),
            detail => format!(": {detail}"),
        };
        Err(JobFailure::new(code, format!("{} ended with {exit} in {phase}{detail}", self.external.program)))
    }

    /// Creates the failure of a program whose exit status was lost.
    async fn lost(&self) -> JobFailure {
        let why = self.command.systemd_reason().await.map_or_else(String::new, |why| format!(" ({why})"));
        let runs = self.host.current_system();
        let runs =
            runs.map_or("check which system runs now".to_owned(), |system| format!("{system} runs now"));
        let message = format!(
            "{} was killed in {} together with its supervisor{why}, so its exit status is unknown; {runs}",
            self.external.program, self.output.phase
        );
        JobFailure::new(ErrorCode::Interrupted, message)
    }
}

pub(super) async fn send_events(events: &JobEvents, what: impl IntoIterator<Item = JobEvent>) {
    for event in what {
        // Only a stopping listener closes the channel; the program keeps running then.
        let _ = events.send(event).await;
    }
}

pub(super) fn stopped(phase: &PhaseName) -> JobFailure {
    JobFailure::new(ErrorCode::Cancelled, format!("stopped in {phase}; nothing was changed"))
}

pub(super) fn not_started(external: &ExternalCommand, reason: &str) -> JobFailure {
    let message = format!("could not start {}: {reason}; nothing was changed", external.program);
    JobFailure::new(ErrorCode::Internal, message)
}

pub(super) fn log_failed(error: &io::Error) -> JobFailure {
    JobFailure::new(ErrorCode::Internal, format!("could not use the log of the job: {error}"))
}

/// Overwrites the masked part of a text in a log. It leaves all other bytes alone, because the program may still be
/// writing.
fn redact_log(log: &Path, offset: u64, text: &str, masked: &str) {
    let differs = |(old, new): (u8, u8)| old != new;
    let Some(start) = text.bytes().zip(masked.bytes()).position(differs) else { return };
    let same_end = text.bytes().rev().zip(masked.bytes().rev()).position(differs).unwrap_or_default();
    let masked = &masked.as_bytes()[start..masked.len() - same_end];
    let file = OpenOptions::new().write(true).open(log);
    if let Err(error) = file.and_then(|file| file.write_all_at(masked, offset + start as u64)) {
        tracing::warn!(%error, log = %log.display(), "failed to redact credentials in the log of a job");
    }
}
