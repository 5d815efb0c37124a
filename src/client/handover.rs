//! Hands a rollout over to a detached process, which has its own session and survives the terminal.
//!
//! Exactly one process sends batches at any time. The first one sends nothing after it has started the hand-over. The
//! second one reads the complete state, connects, and reports that it is ready; it sends nothing until the first one
//! closes the connection between them. If the first one gives up, it kills the second one before it continues. If the
//! first one is killed, the connection closes and the second one continues.

use super::{DeployError, DeploymentFollower, Operator, Plan};
use crate::fleet::Fleet;
use crate::private_file;
use crate::protocol::{DeployReport, Id, Name};
use crate::unattended;
use jiff::Timestamp;
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::process::Child;
use tokio::time::timeout;

/// How long the other process may take until it is ready to send.
const READY_TIMEOUT: Duration = Duration::from_secs(20);
/// Number of logs that are kept.
const MAX_LOGS: usize = 50;

/// Everything that another process needs to continue a rollout.
#[derive(Debug, Serialize, Deserialize)]
pub struct RolloutHandover {
    /// The plan, with the batches that were sent.
    pub plan: Plan,
    /// How long builds may take.
    pub timeout: Option<Duration>,
    /// How long each batch is followed.
    pub follow_timeout: Duration,
    /// Hosts that received the request under another id.
    pub resent: BTreeMap<Name, Id>,
    /// Hosts whose request the server refused.
    pub refused: BTreeSet<Name>,
    /// Number of requests that have expired.
    pub expired_requests: usize,
    /// The last report of each host that has one.
    pub reports: Vec<Arc<DeployReport>>,
}

impl RolloutHandover {
    /// A plan of which nothing was sent.
    pub fn unsent(plan: Plan, timeout: Option<Duration>, follow_timeout: Duration) -> Self {
        Self {
            plan,
            timeout,
            follow_timeout,
            resent: BTreeMap::new(),
            refused: BTreeSet::new(),
            expired_requests: 0,
            reports: Vec::new(),
        }
    }
}

/// How to start a process that takes a rollout over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DetachedRunner {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// The directory of the logs.
    pub log_dir: PathBuf,
}

/// A process that has taken a rollout over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DetachedProcess {
    /// The process id.
    pub pid: u32,
    /// The file with its output.
    pub log: PathBuf,
}

/// Why no process has taken the rollout over. It can be continued here.
#[derive(Debug, thiserror::Error)]
pub enum HandoverError {
    /// The log could not be created.
    #[error("could not create {}: {source}", path.display())]
    Log {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The process could not be started, or the connection to it was lost.
    #[error("could not start a background process: {0}")]
    Start(#[from] io::Error),
    /// The process has ended.
    #[error("the background process failed: {0}")]
    Failed(String),
    /// The process does not get ready.
    #[error("the background process was not ready within {} s", READY_TIMEOUT.as_secs())]
    NotReady,
}

/// What the process says before it takes over.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Readiness {
    Ready,
    Failed(String),
}

impl DetachedRunner {
    /// Starts a process that continues the rollout. After an error, that process has ended and has sent nothing.
    pub async fn take_over(&self, state: &RolloutHandover) -> Result<DetachedProcess, HandoverError> {
        let log = self.log_dir.join(format!("{}.log", state.plan.id));
        let output =
            self.create_log(&log).map_err(|source| HandoverError::Log { path: log.clone(), source })?;
        let (ours, theirs) = StdUnixStream::pair()?;
        ours.set_nonblocking(true)?;
        // If this process gives up, the connection must stay open until the other one was killed.
        let connection = ours.try_clone()?;
        let mut command = unattended::command(&self.program);
        command.args(&self.args).current_dir("/");
        command.stdin(Stdio::from(OwnedFd::from(theirs)));
        command.stdout(output.try_clone()?).stderr(output);
        let mut child = command.spawn()?;
        // The command keeps their end open otherwise.
        drop(command);
        let pid = child.id().unwrap_or_default();
        let ready =
            timeout(READY_TIMEOUT, hand_over(ours, state)).await.unwrap_or(Err(HandoverError::NotReady));
        if ready.is_err() {
            stop(&mut child).await;
        }
        // Closed, so the other process sends from now on.
        drop(connection);
        ready.map(|()| DetachedProcess { pid, log })
    }

    fn create_log(&self, log: &Path) -> io::Result<std::fs::File> {
        private_file::create_dir(&self.log_dir)?;
        remove_old_logs(&self.log_dir);
        private_file::open_options().append(true).open(log)
    }
}

/// Sends the state and waits until the other process is ready.
async fn hand_over(stream: StdUnixStream, state: &RolloutHandover) -> Result<(), HandoverError> {
    let mut stream = BufReader::new(UnixStream::from_std(stream)?);
    let mut line = serde_json::to_vec(state).map_err(io::Error::other)?;
    line.push(b'\n');
    // A process that has failed may not read everything, but says why.
    let sent = stream.write_all(&line).await;
    let mut reply = String::new();
    // A process that ends before it has read everything resets the connection.
    let _ = stream.read_line(&mut reply).await;
    match serde_json::from_str(&reply) {
        Ok(Readiness::Ready) => Ok(sent?),
        Ok(Readiness::Failed(reason)) => Err(HandoverError::Failed(reason)),
        Err(_) => Err(HandoverError::Failed("it has ended; its log says why".to_owned())),
    }
}

/// Kills a process and waits for its end.
async fn stop(child: &mut Child) {
    if let Some(pid) = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)) {
        // Fails if the process has already ended.
        let _ = kill_process(pid, Signal::KILL);
    }
    let _ = child.wait().await;
}

fn remove_old_logs(dir: &Path) {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let logs =
        entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|ext| ext == "log"));
    // The names are ids that sort by time.
    let mut logs: Vec<_> = logs.collect();
    logs.sort_unstable();
    for old in logs.iter().rev().skip(MAX_LOGS) {
        // Another process may have removed it.
        let _ = std::fs::remove_file(old);
    }
}

/// The side of the process that takes over.
pub struct HandoverReceiver {
    stream: BufReader<UnixStream>,
}

impl HandoverReceiver {
    /// Takes the connection, which is standard input.
    pub fn from_stdin() -> io::Result<Self> {
        let stdin = rustix::io::dup(rustix::stdio::stdin())?;
        let stream = StdUnixStream::from(stdin);
        stream.set_nonblocking(true)?;
        Ok(Self { stream: BufReader::new(UnixStream::from_std(stream)?) })
    }

    /// Receives the state. `None` if the other process ended before it was complete; then nothing may be sent.
    pub async fn receive(&mut self) -> io::Result<Option<RolloutHandover>> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).await?;
        if line.pop() != Some(b'\n') {
            return Ok(None);
        }
        Ok(Some(serde_json::from_slice(&line)?))
    }

    /// Reports that this process can continue the rollout, and waits until the other one has stopped.
    pub async fn ready(mut self) {
        self.reply(&Readiness::Ready).await;
        let mut rest = [0; 1];
        // Ends when the other process closes the connection or is killed.
        while matches!(self.stream.read(&mut rest).await, Ok(1)) {}
    }

    /// Reports that this process cannot continue the rollout.
    pub async fn fail(mut self, reason: &str) {
        self.reply(&Readiness::Failed(reason.to_owned())).await;
    }

    async fn reply(&mut self, readiness: &Readiness) {
        let mut line = serde_json::to_vec(readiness).unwrap_or_default();
        line.push(b'\n');
        // If the other process was killed, no one reads the reply.
        let _ = self.stream.write_all(&line).await;
        let _ = self.stream.flush().await;
    }
}

impl DeploymentFollower {
    /// Continues a rollout that another process started. Nothing is sent before the first event. Hosts whose request
    /// did not arrive receive it again under the same id, which starts no second job.
    pub async fn resume(operator: &Operator, state: RolloutHandover) -> Result<Self, DeployError> {
        let mut fleet = Fleet::default();
        let now = Timestamp::now();
        for report in &state.reports {
            fleet.apply_report(report.clone(), now);
        }
        let (timeout, follow_timeout) = (state.timeout, state.follow_timeout);
        let mut follow = Self::subscribe(operator, state.plan, fleet, timeout, follow_timeout).await?;
        follow.track_sent(state.resent, &state.refused, state.expired_requests);
        Ok(follow)
    }
}
