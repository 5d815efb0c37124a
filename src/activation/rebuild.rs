//! The engine that hands build and activation to a program: `nixos-rebuild` itself, or any script.

mod narration;
mod process;

use super::{
    Engine, Facts, Failure, HostPaths, JobLog, JobLogTail, LogPiece, Order, Outcome, ServiceManager, Step,
    Steps, Units, Work,
};
use crate::nix::{self, FlakeUrl, Locked};
use crate::protocol::{Action, ErrorCode, Name, PhaseName};
use narration::Narration;
use process::Process;
use std::future::ready;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How often the growing log is read.
const POLL: Duration = Duration::from_millis(50);
/// How long activation and all after it may take beyond the job's own timeout before the program counts as hung.
const ACTIVATION_LIMIT: Duration = Duration::from_mins(5);
/// How many reads of the log are made before a program is stopped, to know what it does.
const CATCH_UP: usize = 4;
/// A program that has said nothing for this long does not tell its phases.
const SILENCE: Duration = Duration::from_secs(1);

/// Calls a program as `PROGRAM ACTION --flake LOCKED_URL#HOST`, in a session of its own, its output in the job's log.
///
/// A program may tell its phases (see [`super::PhaseLine`]). One whose first line tells none counts as activating from
/// its start, and is then stopped by neither timeout nor cancel.
#[derive(Debug, Clone)]
pub struct RebuildEngine {
    /// The program.
    pub program: PathBuf,
    /// The flake to deploy.
    pub flake: FlakeUrl,
    /// The host in the flake.
    pub hostname: Name,
    /// Our own executable, which launches the program.
    pub launcher: PathBuf,
    /// The host that is changed.
    pub host: HostPaths,
}

impl Engine for RebuildEngine {
    fn actions(&self) -> Vec<Action> {
        let mut actions = Action::BASE.to_vec();
        actions.extend([Action::Build, Action::Cancel]);
        actions
    }

    fn mask(&self, text: &str) -> String {
        self.flake.mask(text)
    }

    fn facts(&self) -> Facts {
        Facts::read(&self.host.root)
    }

    fn failed_units(&self) -> Units {
        Box::pin(ServiceManager::new(self.host.has_systemd()).failed())
    }

    fn work(&self, order: Order, steps: Steps, stop: CancellationToken) -> Work {
        let engine = self.clone();
        Box::pin(async move {
            tell(&steps, [Step::Enter(PhaseName::Prepare)]).await;
            let locked = tokio::select! {
                locked = engine.resolve(&order) => locked?,
                () = stop.cancelled() => return Err(stopped(&PhaseName::Prepare)),
            };
            tell(&steps, locked.commit.clone().map(Step::Commit)).await;
            let (process, tail, said) = engine.start(&order, &locked)?;
            tell(&steps, said.into_iter().map(Step::Log)).await;
            let narration = Narration::new(&order.request.action);
            let run = Run { tail, narration, flake: engine.flake, process, steps };
            run.follow(&engine.program, &order, stop).await
        })
    }
}

impl RebuildEngine {
    async fn resolve(&self, order: &Order) -> Result<Locked, Failure> {
        let request = &order.request;
        let Some(revision) = &request.revision else {
            return Err(Failure::new(ErrorCode::InvalidRevision, "the request names no revision"));
        };
        nix::resolve(&self.flake, revision, request.commit.as_deref())
            .await
            .map_err(|error| Failure::new(error.code(), error.to_string()))
    }

    /// Starts the program; gives its log from there on, and what was written to it before.
    fn start(&self, order: &Order, locked: &Locked) -> Result<(Process, JobLogTail, Vec<LogPiece>), Failure> {
        let installable = format!("{}#{}", locked.url, self.hostname);
        let arguments = [order.request.action.as_str(), "--flake", &installable];
        let log = || -> io::Result<_> {
            let mut log = JobLog::open(&order.folder.log())?;
            let mut said = Vec::new();
            if let Some(note) = &locked.note {
                said.push(log.line(note)?);
            }
            let command = format!("$ {} {}", self.program.display(), arguments.join(" "));
            said.push(log.line(&self.flake.scrub(&command))?);
            Ok((log.into_file(), JobLogTail::at_end(&order.folder.log())?, said))
        };
        let (file, tail, said) = log().map_err(|error| log_failed(&error))?;
        let process = Process::start(&self.launcher, &self.program, &arguments, file).map_err(|error| {
            Failure::new(ErrorCode::Internal, format!("could not start {}: {error}", self.launcher.display()))
        })?;
        Ok((process, tail, said))
    }
}

/// A program at work.
struct Run {
    process: Process,
    tail: JobLogTail,
    narration: Narration,
    flake: FlakeUrl,
    steps: Steps,
}

impl Run {
    async fn follow(mut self, program: &Path, order: &Order, stop: CancellationToken) -> Outcome {
        let begun = Instant::now();
        let hung = tokio::time::sleep(order.timeout + ACTIVATION_LIMIT);
        tokio::pin!(hung);
        let mut poll = tokio::time::interval(POLL);
        let mut behind = false;
        loop {
            let may_stop = !self.narration.changes_system();
            let ended = tokio::select! {
                ended = self.process.ended() => Some(ended.map_err(|error| wait_failed(program, &error))?),
                _ = poll.tick() => None,
                () = ready(()), if behind => None,
                () = stop.cancelled(), if may_stop => {
                    for _ in 0..CATCH_UP {
                        if !self.hear(false).await? {
                            break;
                        }
                    }
                    if self.narration.changes_system() {
                        continue;
                    }
                    tell(&self.steps, [Step::Stopping]).await;
                    self.kill(program).await?;
                    return Err(stopped(&self.narration.phase));
                }
                () = &mut hung => {
                    self.kill(program).await?;
                    return Err(killed(program, &self.narration.phase, begun.elapsed()));
                }
            };
            behind = self.hear(false).await?;
            if let Some(ended) = ended {
                while self.hear(true).await? {}
                tell(&self.steps, self.narration.silence()).await;
                return self.verdict(program, &order.request.action, ended);
            }
            if begun.elapsed() > SILENCE {
                tell(&self.steps, self.narration.silence()).await;
            }
        }
    }

    async fn kill(&mut self, program: &Path) -> Result<(), Failure> {
        self.process.kill().await.map_err(|error| wait_failed(program, &error))?;
        self.hear(true).await?;
        Ok(())
    }

    /// Tells some of what the program has written since, and gives whether there was any.
    async fn hear(&mut self, last: bool) -> Result<bool, Failure> {
        let pieces = self.tail.read(last).map_err(|error| log_failed(&error))?;
        let heard = !pieces.is_empty();
        for LogPiece { offset, text } in pieces {
            let steps = self.narration.hear(LogPiece { offset, text: self.flake.mask(&text) });
            tell(&self.steps, steps).await;
        }
        Ok(heard)
    }

    fn verdict(self, program: &Path, action: &Action, ended: ExitStatus) -> Outcome {
        if ended.success() {
            return Ok(self.narration.note.unwrap_or_else(|| format!("{action} done")));
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
        Err(Failure::new(code, format!("{} ended with {ended} in {phase}{said}", program.display())))
    }
}

async fn tell(steps: &Steps, what: impl IntoIterator<Item = Step>) {
    for step in what {
        // Nobody listens only once the whole listener stops; the program goes on by itself then.
        let _ = steps.send(step).await;
    }
}

fn stopped(phase: &PhaseName) -> Failure {
    Failure::new(ErrorCode::Cancelled, format!("stopped in {phase}; nothing was changed"))
}

fn killed(program: &Path, phase: &PhaseName, after: Duration) -> Failure {
    let message = format!(
        "{} hung in {phase} and was killed after {} s; look at what runs on the host, then deploy again",
        program.display(),
        after.as_secs()
    );
    Failure::new(ErrorCode::ActivationFailed, message)
}

fn log_failed(error: &io::Error) -> Failure {
    Failure::new(ErrorCode::Internal, format!("could not keep the log of the job: {error}"))
}

fn wait_failed(program: &Path, error: &io::Error) -> Failure {
    Failure::new(ErrorCode::Internal, format!("lost track of {}: {error}", program.display()))
}
