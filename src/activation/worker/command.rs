//! A child process of the worker, with its output in the job's log and with a time limit.

use super::switch_output::SwitchOutput;
use crate::activation::JobLog;
use crate::activation::bounded_log::{BoundedLog, LogLimits};
use crate::activation::child_output::ChildOutput;
use crate::private_file;
use rustix::process::{Pid, Signal, kill_process_group};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout};

/// How long a child may take to exit after SIGTERM.
const GRACE_PERIOD: Duration = Duration::from_secs(5);

/// How a child ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CommandExit {
    /// Exit code; `None` if the child was killed or could not be started.
    pub(super) code: Option<i32>,
    /// Description of the end, as a predicate: `ended with exit code 1`.
    pub(super) description: String,
}

impl CommandExit {
    pub(super) fn is_success(&self) -> bool {
        self.code == Some(0)
    }

    fn of(status: ExitStatus) -> Self {
        let description = match (status.code(), status.signal()) {
            (Some(code), _) => format!("ended with exit code {code}"),
            (None, Some(signal)) => format!("was killed by signal {signal}"),
            (None, None) => format!("ended with {status}"),
        };
        Self { code: status.code(), description }
    }
}

/// A running child process.
pub(super) struct RunningCommand {
    child: Child,
    group: Option<Pid>,
    started_at: Instant,
    output: ChildOutput,
    /// The parsed output, if the command is `switch-to-configuration`.
    pub(super) printed: SwitchOutput,
}

/// Starts an unattended command. A command that cannot be started counts as ended.
///
/// Its output goes to `log`, or to `fallback` if that cannot be written. If neither can, the command runs without a
/// log, so that a rollback is possible.
pub(super) fn start(
    mut command: Command,
    log: &Path,
    fallback: &Path,
) -> io::Result<Result<RunningCommand, CommandExit>> {
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    let arguments: Vec<_> = command.as_std().get_args().map(|text| text.to_string_lossy()).collect();
    let line = format!("$ {program} {}", arguments.join(" "));
    let open = |path: &Path| -> io::Result<JobLog> {
        let mut log = JobLog::open(path)?;
        log.line(&line)?;
        Ok(log)
    };
    let log = open(log).or_else(|_| {
        private_file::create_dir(fallback.parent().unwrap_or(Path::new("/")))?;
        open(fallback)
    });
    let log = log.ok().map(|log| BoundedLog::new(log, LogLimits::STEP));
    let output = ChildOutput::capture(&mut command, log)?;
    command.current_dir("/");
    Ok(match command.spawn() {
        Ok(child) => {
            let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
            Ok(RunningCommand {
                child,
                group,
                started_at: Instant::now(),
                output,
                printed: SwitchOutput::default(),
            })
        }
        Err(error) => Err(CommandExit { code: None, description: format!("could not be started: {error}") }),
    })
}

impl RunningCommand {
    /// Time since the start.
    pub(super) fn age(&self) -> Duration {
        self.started_at.elapsed()
    }

    /// Waits for the end of the child, for at most `limit`. All of its output was read before this returns the end.
    pub(super) async fn wait(&mut self, limit: Duration) -> io::Result<Option<CommandExit>> {
        let Self { child, output, printed, .. } = self;
        let mut read = |line: &str| {
            printed.line(line);
            false
        };
        let ended = timeout(limit, async {
            loop {
                tokio::select! {
                    biased;
                    ended = child.wait() => break ended,
                    () = output.read_next(&mut read) => {}
                }
            }
        });
        let Ok(ended) = ended.await else { return Ok(None) };
        output.finish(&mut read);
        Ok(Some(CommandExit::of(ended?)))
    }

    /// Ends the child with its process group. `description` becomes the description of the result.
    pub(super) async fn end(&mut self, description: String) -> io::Result<CommandExit> {
        self.signal(Signal::TERM);
        let ended_in_time = self.wait(GRACE_PERIOD).await;
        self.signal(Signal::KILL);
        if ended_in_time?.is_none() {
            self.wait(Duration::MAX).await?;
        }
        Ok(CommandExit { code: None, description })
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            // A group that is gone already needs no signal.
            let _ = kill_process_group(group, signal);
        }
    }
}

/// Runs a command to its end, or ends its process group after `limit`.
pub(super) async fn run(
    command: Command,
    log: &Path,
    fallback: &Path,
    limit: Duration,
) -> io::Result<CommandExit> {
    let mut child = match start(command, log, fallback)? {
        Ok(child) => child,
        Err(ended) => return Ok(ended),
    };
    match child.wait(limit).await? {
        Some(ended) => Ok(ended),
        None => child.end(timeout_description(limit)).await,
    }
}

/// Describes the end of a child that exceeded its time limit.
pub(super) fn timeout_description(limit: Duration) -> String {
    format!("took longer than {} s and was ended", limit.as_secs())
}
