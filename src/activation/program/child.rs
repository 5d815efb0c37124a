//! A child of the activation program: its output goes straight into the job's log, and its time is bounded.

use crate::activation::JobLog;
use rustix::process::{Pid, Signal, kill_process_group};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
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

/// Where a child writes, and from which byte on. Nowhere, if no file takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Written {
    /// The file.
    pub(super) file: PathBuf,
    /// Where its output begins.
    pub(super) from: u64,
}

/// A child at work.
pub(super) struct Running {
    child: Child,
    group: Option<Pid>,
    begun: Instant,
    /// Where its output is.
    pub(super) written: Option<Written>,
}

/// Starts a command; a child that cannot be started has ended. A pipe would break with us and take the child along in
/// the middle of its work: so it writes into the log itself, or into `other` where that cannot be written.
pub(super) fn start(mut command: Command, log: &Path, other: &Path) -> io::Result<Result<Running, Ended>> {
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    let arguments: Vec<_> = command.as_std().get_args().map(|text| text.to_string_lossy()).collect();
    let line = format!("$ {program} {}", arguments.join(" "));
    let open = |path: &Path| -> io::Result<(File, Option<Written>)> {
        let mut log = JobLog::open(path)?;
        log.line(&line)?;
        let file = log.into_file();
        let from = file.metadata()?.len();
        Ok((file, Some(Written { file: path.to_owned(), from })))
    };
    // A host must find its way back also where its log cannot be written.
    let (file, written) = open(log)
        .or_else(|_| {
            fs::create_dir_all(other.parent().unwrap_or(Path::new("/")))?;
            open(other)
        })
        .or_else(|_| OpenOptions::new().write(true).open("/dev/null").map(|file| (file, None)))?;
    command.current_dir("/").stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).process_group(0);
    Ok(match command.spawn() {
        Ok(child) => {
            let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
            Ok(Running { child, group, begun: Instant::now(), written })
        }
        Err(error) => Err(Ended { code: None, how: format!("could not be started: {error}") }),
    })
}

impl Running {
    /// How long it has run.
    pub(super) fn age(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Waits for its end, at most so long.
    pub(super) async fn wait(&mut self, limit: Duration) -> io::Result<Option<Ended>> {
        match timeout(limit, self.child.wait()).await {
            Ok(status) => Ok(Some(Ended::of(status?))),
            Err(_) => Ok(None),
        }
    }

    /// Ends it with its whole group, and says why in the ending.
    pub(super) async fn end(mut self, how: String) -> io::Result<Ended> {
        self.signal(Signal::TERM);
        let heeded = timeout(GRACE, self.child.wait()).await;
        self.signal(Signal::KILL);
        if heeded.is_err() {
            self.child.wait().await?;
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
