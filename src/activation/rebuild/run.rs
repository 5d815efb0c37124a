//! A rebuild program at work, followed to its result by this listener or by one that started later.

use super::narration::Narration;
use crate::activation::supervised::{CommandEnd, GRACE, POLL, SupervisedCommand};
use crate::activation::{Failure, HostPaths, JobLog, JobLogTail, LogPiece, Order, Outcome, Step, Steps};
use crate::jobs::{ExternalCommand, now};
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

/// A program that has written nothing for this long after its start does not tell its phases.
const SILENCE: Duration = Duration::from_secs(1);
/// How long a program that may be changing the host may take to heed SIGTERM: what is half written may be finished.
const LONG_GRACE: Duration = Duration::from_mins(2);

/// Follows the program that another listener started for a job.
pub(in crate::activation) async fn follow(
    order: Order,
    steps: Steps,
    stop: CancellationToken,
    flake: FlakeUrl,
    host: HostPaths,
    silence: Duration,
) -> Outcome {
    let record =
        order.folder.record().map_err(|error| Failure::new(ErrorCode::Internal, error.to_string()))?;
    let Some(external) = record.external_command else {
        let message = "the record of this job names no program that could be followed";
        return Err(Failure::new(ErrorCode::Interrupted, message));
    };
    let command = SupervisedCommand::attach(&order.folder);
    let mut run = Run::new(&order, steps, command, external, flake, host, silence)?;
    run.told = std::fs::metadata(order.folder.log()).map_err(|error| log_failed(&error))?.len();
    run.caught_up = false;
    run.follow(stop).await
}

/// A program at work.
pub(super) struct Run {
    command: SupervisedCommand,
    external: ExternalCommand,
    tail: JobLogTail,
    narration: Narration,
    /// Lines of the log up to this offset are published already, or can be asked for.
    told: u64,
    /// Whether its phase is known: not yet if it has written much that this listener still has to read.
    caught_up: bool,
    flake: FlakeUrl,
    host: HostPaths,
    steps: Steps,
    action: Action,
    log: PathBuf,
    /// How long the job may take up to the first change.
    timeout: Duration,
    silence: Duration,
    begun: Instant,
    last_output: Instant,
}

impl Run {
    pub(super) fn new(
        order: &Order,
        steps: Steps,
        command: SupervisedCommand,
        external: ExternalCommand,
        flake: FlakeUrl,
        host: HostPaths,
        silence: Duration,
    ) -> Result<Self, Failure> {
        let log = order.folder.log();
        let tail = JobLogTail::at(&log, external.log_offset).map_err(|error| log_failed(&error))?;
        let age = Duration::try_from(now().duration_since(external.started_at)).unwrap_or_default();
        let now = Instant::now();
        Ok(Self {
            command,
            tail,
            narration: Narration::new(&order.request.action),
            told: external.log_offset,
            caught_up: true,
            external,
            flake,
            host,
            steps,
            action: order.request.action.clone(),
            log,
            timeout: order.timeout,
            silence,
            begun: now.checked_sub(age).unwrap_or(now),
            last_output: now,
        })
    }

    /// Follows it to its end. Dropping the future leaves the program alone.
    pub(super) async fn follow(mut self, stop: CancellationToken) -> Outcome {
        let mut poll = interval(POLL);
        let mut behind = false;
        loop {
            let may_stop = self.caught_up && !self.narration.changes_system();
            tokio::select! {
                _ = poll.tick() => {}
                () = ready(()), if behind => {}
                () = stop.cancelled(), if may_stop => {
                    // What has begun to change the host may not have been read yet.
                    self.command.catch_up().await;
                    self.note_phase().await;
                    if self.narration.changes_system() {
                        continue;
                    }
                    tell(&self.steps, [Step::Stopping]).await;
                    self.command.end(GRACE).await;
                    self.hear(true).await?;
                    return Err(stopped(&self.narration.phase));
                }
            }
            // Looked at first: all that it wrote is in the log once it has ended.
            let ended = self.command.ended();
            behind = self.hear(false).await?;
            if let Some(ended) = ended {
                return self.result(ended).await;
            }
            if !behind {
                self.note_phase().await;
            }
            self.caught_up |= !behind;
            if self.caught_up && self.begun.elapsed() > SILENCE {
                tell(&self.steps, self.narration.silence()).await;
            }
            if self.is_hung() {
                return Err(self.end_hung().await);
            }
        }
    }

    /// Tells some of what the program has written since, and gives whether there was any.
    async fn hear(&mut self, last: bool) -> Result<bool, Failure> {
        let (flake, log) = (&self.flake, &self.log);
        let mask = |offset, text: String| {
            let masked = flake.mask(&text);
            blot(log, offset, &text, &masked);
            masked
        };
        let pieces = self.tail.read_masked(last, mask).map_err(|error| log_failed(&error))?;
        let heard = !pieces.is_empty();
        for LogPiece { offset, text } in pieces {
            let known = offset + text.len() as u64 <= self.told;
            let mut steps = self.narration.hear(LogPiece { offset, text });
            if known {
                steps.retain(|step| !matches!(step, Step::Log(_)));
            }
            tell(&self.steps, steps).await;
        }
        if heard {
            self.last_output = Instant::now();
        }
        Ok(heard)
    }

    /// Enters the phase that its supervisor has noted, if the log does not say so yet or could not be written.
    async fn note_phase(&mut self) {
        let step = self.command.phase().and_then(|phase| self.narration.enter(phase));
        tell(&self.steps, step).await;
    }

    /// Whether it does nothing any more, as far as that can be seen from outside: it waits for other processes, so neither
    /// their time nor its own says anything.
    fn is_hung(&self) -> bool {
        self.narration.changes_system()
            && self.begun.elapsed() >= self.timeout
            && self.silent_for() >= self.silence
    }

    /// How long it has written nothing. What is kept out of the log counts too.
    fn silent_for(&self) -> Duration {
        let silence = self.last_output.elapsed();
        self.command.silence().map_or(silence, |other| other.min(silence))
    }

    /// Ends a program that hangs while it may be changing the host.
    async fn end_hung(&mut self) -> Failure {
        let silent = self.silent_for().as_secs();
        let phase = self.narration.phase.clone();
        let note = format!(
            "no output for {silent} s in {phase}: ending {} with SIGTERM, with SIGKILL after {} s",
            self.external.program,
            LONG_GRACE.as_secs()
        );
        // It is told in the report too.
        let _ = JobLog::open(&self.log).and_then(|mut log| log.line(&note));
        let ended = self.command.end(LONG_GRACE).await;
        while self.hear(true).await.unwrap_or(false) {}
        let how = match ended {
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
        Failure::new(ErrorCode::ActivationFailed, message)
    }

    async fn result(mut self, ended: CommandEnd) -> Outcome {
        let program = &self.external.program;
        let ended = match ended {
            CommandEnd::NotStarted(reason) => {
                let reason = format!("could not start {program}: {reason}");
                return Err(Failure::new(ErrorCode::Internal, format!("{reason}; nothing was changed")));
            }
            CommandEnd::WaitStatus(status) => Some(ExitStatus::from_raw(status)),
            CommandEnd::Lost => None,
        };
        while self.hear(true).await? {}
        tell(&self.steps, self.narration.silence()).await;
        let Some(ended) = ended else { return Err(self.lost().await) };
        if ended.success() {
            return Ok(self.narration.note.unwrap_or_else(|| format!("{} done", self.action)));
        }
        let phase = self.narration.phase;
        let code = match phase {
            PhaseName::Build => ErrorCode::BuildFailed,
            PhaseName::Check => ErrorCode::CheckRefused,
            PhaseName::Activate => ErrorCode::ActivationFailed,
            PhaseName::Verify => ErrorCode::VerificationFailed,
            PhaseName::Persist => ErrorCode::PersistFailed,
            PhaseName::Rollback => ErrorCode::RollbackFailed,
            _ => ErrorCode::Internal,
        };
        let said = match self.narration.note.unwrap_or(self.narration.last_line) {
            said if said.is_empty() => String::new(),
            said => format!(": {said}"),
        };
        Err(Failure::new(code, format!("{} ended with {ended} in {phase}{said}", self.external.program)))
    }

    /// Nobody saw how it ended.
    async fn lost(&self) -> Failure {
        let why = self.command.reason_of_systemd().await.map_or_else(String::new, |why| format!(" ({why})"));
        let runs = self.host.current_system();
        let runs = runs.map_or("look at what runs now".to_owned(), |system| format!("{system} runs now"));
        let message = format!(
            "{} was killed in {} together with the process that watched it{why}, so its exit status is not known; {runs}",
            self.external.program, self.narration.phase
        );
        Failure::new(ErrorCode::Interrupted, message)
    }
}

pub(super) async fn tell(steps: &Steps, what: impl IntoIterator<Item = Step>) {
    for step in what {
        // Nobody listens only once the whole listener stops; the program goes on by itself then.
        let _ = steps.send(step).await;
    }
}

pub(super) fn stopped(phase: &PhaseName) -> Failure {
    Failure::new(ErrorCode::Cancelled, format!("stopped in {phase}; nothing was changed"))
}

pub(super) fn not_started(external: &ExternalCommand, reason: &str) -> Failure {
    let message = format!("could not start {}: {reason}; nothing was changed", external.program);
    Failure::new(ErrorCode::Internal, message)
}

pub(super) fn log_failed(error: &io::Error) -> Failure {
    Failure::new(ErrorCode::Internal, format!("could not keep the log of the job: {error}"))
}

/// Overwrites what was masked of a text in a log; nothing else of it, for the program may still be writing.
fn blot(log: &Path, offset: u64, text: &str, masked: &str) {
    let differs = |(old, new): (u8, u8)| old != new;
    let Some(start) = text.bytes().zip(masked.bytes()).position(differs) else { return };
    let same_end = text.bytes().rev().zip(masked.bytes().rev()).position(differs).unwrap_or_default();
    let masked = &masked.as_bytes()[start..masked.len() - same_end];
    let file = OpenOptions::new().write(true).open(log);
    if let Err(error) = file.and_then(|file| file.write_all_at(masked, offset + start as u64)) {
        tracing::warn!(%error, log = %log.display(), "failed to remove credentials from the log of a job");
    }
}
