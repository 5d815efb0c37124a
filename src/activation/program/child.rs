//! A child of the activation program: its output goes straight into the job's log, and its time is bounded.

use crate::activation::JobLog;
use rustix::process::{Pid, Signal, kill_process_group};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::timeout;

/// How long a child may take to heed SIGTERM.
const GRACE: Duration = Duration::from_secs(5);
/// How much of the end of its output is looked at.
const TAIL: u64 = 16 * 1024;

/// How a child ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ended {
    /// Its exit code; none where it was killed or never started.
    pub(super) code: Option<i32>,
    /// How it ended, in words.
    pub(super) how: String,
    /// The end of its output.
    pub(super) said: String,
}

impl Ended {
    pub(super) fn is_success(&self) -> bool {
        self.code == Some(0)
    }
}

/// Runs a command to its end or for `limit`, then ends its whole group. A pipe would break with us and take the child
/// along in the middle of its work: so it writes into the log itself.
pub(super) async fn run(mut command: Command, log: &Path, limit: Duration) -> io::Result<Ended> {
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    let arguments: Vec<_> = command.as_std().get_args().map(|text| text.to_string_lossy()).collect();
    let begun = || -> io::Result<File> {
        let mut job_log = JobLog::open(log)?;
        job_log.line(&format!("$ {program} {}", arguments.join(" ")))?;
        Ok(job_log.into_file())
    };
    // A host must find its way back also where its log cannot be written.
    let file = begun().or_else(|_| OpenOptions::new().write(true).open("/dev/null"))?;
    let from = file.metadata()?.len();
    command.current_dir("/").stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).process_group(0);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            let how = format!("could not be started: {error}");
            return Ok(Ended { code: None, how, said: String::new() });
        }
    };
    let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    let (status, late) = match timeout(limit, child.wait()).await {
        Ok(status) => (status?, false),
        Err(_) => {
            signal(group, Signal::TERM);
            let status = timeout(GRACE, child.wait()).await;
            signal(group, Signal::KILL);
            (if let Ok(status) = status { status? } else { child.wait().await? }, true)
        }
    };
    let said = end_of(log, from).unwrap_or_default();
    if late {
        let how = format!("took longer than {} s and was ended", limit.as_secs());
        return Ok(Ended { code: None, how, said });
    }
    let how = match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => format!("ended with {status}"),
    };
    Ok(Ended { code: status.code(), how, said })
}

fn signal(group: Option<Pid>, signal: Signal) {
    if let Some(group) = group {
        // Gone already is as good.
        let _ = kill_process_group(group, signal);
    }
}

fn end_of(log: &Path, from: u64) -> io::Result<String> {
    let mut file = File::open(log)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(from.max(length.saturating_sub(TAIL))))?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
