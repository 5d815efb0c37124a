//! A child of the activation program: its output goes into the job's log, and its time is bounded.

use super::output::SwitchOutput;
use crate::activation::JobLog;
use crate::activation::bounded_log::{BoundedLog, LogRoom};
use crate::activation::child_output::ChildOutput;
use crate::private;
use rustix::process::{Pid, Signal, kill_process_group};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout};

/// How long a child may take to heed SIGTERM.
const GRACE: Duration = Duration::from_secs(5);

/// How a child ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ended {
    /// Its exit code; none where it was killed or never started.
    pub(super) code: Option<i32>,
    /// How it ended, in words.
    pub(super) how: String,
}

impl Ended {
    pub(super) fn is_success(&self) -> bool {
        self.code == Some(0)
    }

    fn of(status: ExitStatus) -> Self {
        let how = match (status.code(), status.signal()) {
            (Some(code), _) => format!("ended with exit code {code}"),
            (None, Some(signal)) => format!("was killed by signal {signal}"),
            (None, None) => format!("ended with {status}"),
        };
        Self { code: status.code(), how }
    }
}

/// A child at work.
pub(super) struct Running {
    child: Child,
    group: Option<Pid>,
    begun: Instant,
    output: ChildOutput,
    /// What it has printed so far, if it is a `switch-to-configuration`.
    pub(super) printed: SwitchOutput,
}

/// Starts an unattended command; a child that cannot be started has ended. Its output goes into `log`, or into `other` if that cannot
/// be written; a host must find its way back also if neither can.
pub(super) fn start(mut command: Command, log: &Path, other: &Path) -> io::Result<Result<Running, Ended>> {
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    let arguments: Vec<_> = command.as_std().get_args().map(|text| text.to_string_lossy()).collect();
    let line = format!("$ {program} {}", arguments.join(" "));
    let open = |path: &Path| -> io::Result<JobLog> {
        let mut log = JobLog::open(path)?;
        log.line(&line)?;
        Ok(log)
    };
    let log = open(log).or_else(|_| {
        private::directory(other.parent().unwrap_or(Path::new("/")))?;
        open(other)
    });
    let log = log.ok().map(|log| BoundedLog::new(log, LogRoom::STEP));
    let output = ChildOutput::of(&mut command, log)?;
    command.current_dir("/");
    Ok(match command.spawn() {
        Ok(child) => {
            let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
            Ok(Running { child, group, begun: Instant::now(), output, printed: SwitchOutput::default() })
        }
        Err(error) => Err(Ended { code: None, how: format!("could not be started: {error}") }),
    })
}

impl Running {
    /// How long it has run.
    pub(super) fn age(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Waits for its end, at most so long. By then all that it wrote was taken in.
    pub(super) async fn wait(&mut self, limit: Duration) -> io::Result<Option<Ended>> {
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
                    () = output.take_next(&mut read) => {}
                }
            }
        });
        let Ok(ended) = ended.await else { return Ok(None) };
        output.finish(&mut read);
        Ok(Some(Ended::of(ended?)))
    }

    /// Ends it with its whole group, and says why in the ending.
    pub(super) async fn end(&mut self, how: String) -> io::Result<Ended> {
        self.signal(Signal::TERM);
        let heeded = self.wait(GRACE).await;
        self.signal(Signal::KILL);
        if heeded?.is_none() {
            self.wait(Duration::MAX).await?;
        }
        Ok(Ended { code: None, how })
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            // Gone already is as good.
            let _ = kill_process_group(group, signal);
        }
    }
}

/// Runs a command to its end or for `limit`, then ends its whole group.
pub(super) async fn run(command: Command, log: &Path, other: &Path, limit: Duration) -> io::Result<Ended> {
    let mut child = match start(command, log, other)? {
        Ok(child) => child,
        Err(ended) => return Ok(ended),
    };
    match child.wait(limit).await? {
        Some(ended) => Ok(ended),
        None => child.end(too_long(limit)).await,
    }
}

/// How a child ended that took too long.
pub(super) fn too_long(limit: Duration) -> String {
    format!("took longer than {} s and was ended", limit.as_secs())
}
