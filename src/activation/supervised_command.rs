//! A command that outlives the listener. A supervisor process runs it and records how it ended: in a transient unit if
//! systemd runs the host, otherwise in a separate session. A later listener finds the command by its state file.

use super::{ProgramKind, Systemd, TransientUnit};
use crate::jobs::JobDir;
use crate::private_file;
use crate::protocol::PhaseName;
use crate::text::fitting_prefix;
use crate::unattended;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tokio::time::{Instant, sleep};

/// How often the state of a command is read.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// How long a command may take to exit after SIGTERM before its processes are killed.
pub(super) const GRACE_PERIOD: Duration = Duration::from_secs(5);
/// How long a supervisor may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(3);
/// How long processes may take to exit after SIGKILL.
const KILL_TIMEOUT: Duration = Duration::from_secs(30);
/// Asks a supervisor to read all output that its command has written.
pub(super) const CATCH_UP_SIGNAL: Signal = Signal::USR1;
/// The longest reason in a state file, in bytes.
const MAX_REASON: usize = 200;
/// Size of the file in bytes. The file has its full size before the command starts and is written in place, because the
/// disk may be full when the command ends.
const SIZE: usize = 512;

/// A command to start.
pub(super) struct CommandSpec<'a> {
    /// Our own executable, which runs as the supervisor.
    pub(super) supervisor: &'a Path,
    /// The unit to start the command in, if systemd runs the host. Its output goes to the job's log.
    pub(super) unit: Option<TransientUnit>,
    /// The program to run.
    pub(super) program: &'a Path,
    pub(super) arguments: &'a [&'a str],
    pub(super) kind: ProgramKind,
    /// Additional variables for a command that runs without a unit; values may be secret.
    pub(super) environment: &'a [(String, String)],
}

/// A command of a job; a job has at most one at a time. Dropping this does not end the command.
#[derive(Debug)]
pub(super) struct SupervisedCommand {
    file: PathBuf,
    unit: Option<String>,
    /// Since when the supervisor is expected to run.
    expected_since: Instant,
}

impl SupervisedCommand {
    /// Starts a command. Ends a command that an earlier listener left in this job first.
    pub(super) async fn start(job_dir: &JobDir, spec: CommandSpec<'_>) -> Result<Self, String> {
        let leftover = Self::attach(job_dir);
        if leftover.state().is_some_and(|state| state.end.is_none()) {
            leftover.end(Duration::ZERO).await;
        }
        let unit = spec.unit.as_ref().map(|unit| unit.name().to_owned());
        let command =
            Self { file: job_dir.command_file(), unit: unit.clone(), expected_since: Instant::now() };
        StateFile::create(&command.file, unit)
            .map_err(|error| format!("could not write {}: {error}", command.file.display()))?;
        let mut arguments: Vec<OsString> = ["activation", "supervise", "--state"].map(OsString::from).into();
        arguments.extend([command.file.clone().into(), "--log".into(), job_dir.log().into()]);
        arguments.extend((spec.kind == ProgramKind::Check).then(|| "--check".into()));
        // When a unit ends, systemd ends all of its processes.
        arguments.extend(spec.unit.is_none().then(|| "--stay".into()));
        arguments.push(spec.program.into());
        arguments.extend(spec.arguments.iter().map(OsString::from));
        let started = match &spec.unit {
            Some(unit) => unit.start(spec.supervisor, &arguments).await.map_err(|error| error.to_string()),
            None => start_detached(spec.supervisor, &arguments, spec.environment, &job_dir.log())
                .map_err(|error| format!("could not start {}: {error}", spec.supervisor.display())),
        };
        match started {
            Err(reason) if command.cancel_unstarted(&reason) => Err(reason),
            // A service manager may report an error and start the unit nevertheless.
            _ => Ok(Self { expected_since: Instant::now(), ..command }),
        }
    }

    /// Returns the command that this or an earlier listener started in a job.
    pub(super) fn attach(job_dir: &JobDir) -> Self {
        let file = job_dir.command_file();
        let unit = StateFile::peek(&file).and_then(|state| state.unit);
        Self { file, unit, expected_since: Instant::now() }
    }

    /// The unit that the command runs in.
    pub(super) fn unit(&self) -> Option<&str> {
        self.unit.as_deref()
    }

    /// How the command ended; `None` while it runs. After its end, the log holds all of its output.
    pub(super) fn ended(&self) -> Option<CommandEnd> {
        let state = self.state();
        if let Some(end) = state.as_ref().and_then(|state| state.end.clone()) {
            return Some(end);
        }
        let has_started = state.is_some_and(|state| state.pid.is_some());
        if !has_started && self.expected_since.elapsed() < START_TIMEOUT {
            return None;
        }
        match StateFile::lock(&self.file) {
            // The lock is free, so the supervisor is gone.
            Ok(Some(file)) => Some(record_end(&file, "its supervisor did not start")),
            Ok(None) => None,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Some(CommandEnd::Lost),
            Err(error) => {
                tracing::warn!(%error, file = %self.file.display(), "failed to check a running command");
                None
            }
        }
    }

    /// The last phase that the command reported.
    pub(super) fn phase(&self) -> Option<PhaseName> {
        self.state()?.phase
    }

    /// Waits until the supervisor has read all output written so far, so that `phase` is current. Gives up on a
    /// supervisor that does not respond in time.
    pub(super) async fn catch_up(&self) {
        let Some(CommandState { pid: Some(pid), caught_up: Some(before), end: None, .. }) = self.state()
        else {
            return;
        };
        let Some(supervisor) = Pid::from_raw(pid) else { return };
        let started_at = Instant::now();
        while started_at.elapsed() < GRACE_PERIOD && self.ended().is_none() {
            let _ = kill_process(supervisor, CATCH_UP_SIGNAL);
            sleep(POLL_INTERVAL).await;
            if self.state().and_then(|state| state.caught_up).is_some_and(|now| now != before) {
                return;
            }
        }
    }

    /// Time since the last output, with a resolution of one second.
    pub(super) fn silent_for(&self) -> Option<Duration> {
        fs::metadata(&self.file).ok()?.modified().ok()?.elapsed().ok()
    }

    /// Ends the command and everything it started: SIGTERM first, SIGKILL for the processes left after `grace`.
    pub(super) async fn end(&self, grace: Duration) -> CommandEnd {
        if self.cancel_unstarted("it was stopped before it started") {
            return self.state().and_then(|state| state.end).unwrap_or(CommandEnd::Lost);
        }
        self.signal(Signal::TERM).await;
        let ended_in_time = self.wait_for_end(grace).await;
        // Processes that the command has started may ignore SIGTERM even if the command does not.
        self.signal(Signal::KILL).await;
        match ended_in_time {
            Some(end) => end,
            None => self.wait_for_end(KILL_TIMEOUT).await.unwrap_or(CommandEnd::Lost),
        }
    }

    /// The reason in systemd's journal why the unit failed.
    pub(super) async fn systemd_reason(&self) -> Option<String> {
        let journal = Systemd::new(true).journal(self.unit()?, 20).await;
        let line = journal.lines().rev().find(|line| line.contains("Failed with result"))?;
        line.split_once(".service: ").map(|(_, reason)| reason.trim_end_matches('.').to_owned())
    }

    async fn wait_for_end(&self, limit: Duration) -> Option<CommandEnd> {
        let started_at = Instant::now();
        loop {
            if let Some(end) = self.ended() {
                return Some(end);
            }
            if started_at.elapsed() >= limit {
                return None;
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    fn state(&self) -> Option<CommandState> {
        StateFile::peek(&self.file)
    }

    /// Prevents the start of a command that has not started yet. Returns `false` if it has started.
    fn cancel_unstarted(&self, reason: &str) -> bool {
        let Ok(Some(file)) = StateFile::lock(&self.file) else { return false };
        matches!(record_end(&file, reason), CommandEnd::NotStarted(_))
    }

    async fn signal(&self, signal: Signal) {
        if let Some(unit) = self.unit() {
            Systemd::new(true).signal(unit, signal).await;
        } else if let Some(group) = self.state().and_then(|state| Pid::from_raw(state.pid?)) {
            // A group that is gone already needs no signal.
            let _ = kill_process_group(group, signal);
        }
    }
}

/// Records the end of a command whose supervisor is gone.
fn record_end(file: &StateFile, reason: &str) -> CommandEnd {
    let mut state = file.read().unwrap_or_default();
    if let Some(end) = state.end {
        return end;
    }
    let end = match state.pid {
        Some(_) => CommandEnd::Lost,
        None => CommandEnd::NotStarted(fitting_prefix(reason, MAX_REASON).to_owned()),
    };
    state.end = Some(end.clone());
    if let Err(error) = file.write(&state) {
        tracing::error!(%error, "failed to record how a command ended");
    }
    end
}

fn start_detached(
    supervisor: &Path,
    arguments: &[OsString],
    environment: &[(String, String)],
    log: &Path,
) -> io::Result<()> {
    let log = private_file::open_options().append(true).open(log)?;
    let mut child = unattended::command(supervisor)
        .args(arguments)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .current_dir("/")
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()?;
    // Reaps the child if it ends before this process.
    tokio::spawn(async move { child.wait().await });
    Ok(())
}

/// The recorded state of a command.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CommandState {
    /// The transient unit that the command runs in; `None` without systemd.
    #[serde(default)]
    pub(super) unit: Option<String>,
    /// Process id of the supervisor, which leads the session and the process group of the command.
    #[serde(default)]
    pub(super) pid: Option<i32>,
    /// The last phase that a rebuild program reported. Unlike the log, it is current even if the disk is full.
    #[serde(default)]
    pub(super) phase: Option<PhaseName>,
    /// How many requests to read all output the supervisor has completed. `None` for a supervisor of an older version,
    /// which the signal for such a request would end.
    #[serde(default)]
    pub(super) caught_up: Option<u32>,
    /// How the command ended; `None` while it runs.
    #[serde(default)]
    pub(super) end: Option<CommandEnd>,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum CommandEnd {
    /// It ended with this wait status of the kernel.
    WaitStatus(i32),
    /// It never started, for this reason.
    NotStarted(String),
    /// Its supervisor was killed, so its exit status is unknown.
    Lost,
}

/// The open state file, locked by this process. The supervisor holds the lock as long as it runs.
#[derive(Debug)]
pub(super) struct StateFile {
    file: File,
}

impl StateFile {
    /// Creates the file for a command that is about to start.
    fn create(path: &Path, unit: Option<String>) -> io::Result<()> {
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        Self { file }.write(&CommandState { unit, ..CommandState::default() })
    }

    /// Locks the file; `None` if another process holds the lock.
    pub(super) fn lock(path: &Path) -> io::Result<Option<Self>> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Reads the file without the lock. `None` if it is missing or just being written.
    fn peek(path: &Path) -> Option<CommandState> {
        serde_json::from_slice(&std::fs::read(path).ok()?).ok()
    }

    /// Records a heartbeat of the command as the modification time of the file.
    pub(super) fn touch(&self) -> io::Result<()> {
        self.file.set_modified(SystemTime::now())
    }

    /// Reads the locked file.
    pub(super) fn read(&self) -> io::Result<CommandState> {
        let mut bytes = [0; SIZE];
        let length = self.file.read_at(&mut bytes, 0)?;
        serde_json::from_slice(&bytes[..length]).map_err(io::Error::other)
    }

    /// Replaces the contents of the file durably.
    pub(super) fn write(&self, state: &CommandState) -> io::Result<()> {
        // This struct can always be serialized.
        let mut json = serde_json::to_vec(state).unwrap_or_default();
        json.resize(SIZE, b' ');
        self.file.write_all_at(&json, 0)?;
        self.file.sync_all()
    }
}
