//! Processes that start programs apart from the listener. One becomes a program in a new session; the other supervises
//! a command and records how it ended.
//!
//! These are separate processes because only a process itself can start a new session.

use super::bounded_log::{BoundedLog, LogLimits};
use super::child_output::ChildOutput;
use super::supervised_command::{CATCH_UP_SIGNAL, CommandEnd, CommandState, StateFile};
use super::{JobLog, ProgressMarker};
use crate::protocol::PhaseName;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep};

/// How many times, and with which pause, locking the state file is tried. A listener may hold the lock for a moment.
const LOCK_ATTEMPTS: u32 = 50;
const LOCK_RETRY: Duration = Duration::from_millis(20);

/// How often the state file is touched while a program prints output.
const TOUCH_INTERVAL: Duration = Duration::from_secs(1);

/// The reason why a program did not start.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The program could not be started.
    #[error("could not start {}: {source}", program.display())]
    Program {
        /// The program to start.
        program: OsString,
        /// The operating system's reason.
        #[source]
        source: io::Error,
    },
    /// The state file could not be used.
    #[error("could not use the state file {}: {source}", path.display())]
    State {
        /// Path of the state file.
        path: PathBuf,
        /// The operating system's reason.
        #[source]
        source: io::Error,
    },
}

/// Starts a new session and executes `program` in this process. Returns only if that fails.
pub fn exec_in_session(program: OsString, arguments: Vec<OsString>) -> SpawnError {
    // Fails only if this process leads a process group already, and then the group needs no change.
    let _ = rustix::process::setsid();
    let source = Command::new(&program).args(arguments).exec();
    SpawnError::Program { program, source }
}

/// The kind of a supervised program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgramKind {
    /// A rebuild program. Its output may be that of a build, and lines that report phases are always logged.
    Rebuild,
    /// A check program of a new system.
    Check,
}

/// Starts a new session, runs `program` in it, and writes its end to the state file `path`. Does nothing if the command
/// has ended according to that file, or if another process runs it. The output goes to the file `log`, within limits.
///
/// The whole session receives SIGTERM, but only the program acts on it: this process waits for the end of the program.
/// With `stay`, it then also waits for processes that the program has left in the background, because their output
/// needs a reader.
pub async fn supervise(
    path: &Path,
    log: &Path,
    kind: ProgramKind,
    stay: bool,
    program: OsString,
    arguments: Vec<OsString>,
) -> Result<(), SpawnError> {
    let _ = rustix::process::setsid();
    let failed = |source| SpawnError::State { path: path.to_owned(), source };
    let _terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut catch_up_signal = signal(SignalKind::from_raw(CATCH_UP_SIGNAL.as_raw())).map_err(failed)?;
    let Some(file) = lock(path).await.map_err(failed)? else { return Ok(()) };
    let mut state = file.read().map_err(failed)?;
    if state.pid.is_some() || state.end.is_some() {
        return Ok(());
    }
    state.pid = Some(rustix::process::getpid().as_raw_nonzero().get());
    state.caught_up = Some(0);
    file.write(&state).map_err(failed)?;
    let limits = match kind {
        ProgramKind::Rebuild => LogLimits::BUILD,
        ProgramKind::Check => LogLimits::STEP,
    };
    let log = JobLog::open(log).ok().map(|log| BoundedLog::new(log, limits));
    let mut command = tokio::process::Command::new(&program);
    command.args(arguments).stdin(Stdio::null());
    let started = ChildOutput::capture(&mut command, log).and_then(|output| Ok((command.spawn()?, output)));
    // The command holds the write end of the pipe.
    drop(command);
    let (mut child, mut output) = match started {
        Ok(started) => started,
        Err(source) => {
            state.end = Some(CommandEnd::NotStarted(source.to_string()));
            file.write(&state).map_err(failed)?;
            return Err(SpawnError::Program { program, source });
        }
    };
    let mut supervised = SupervisedOutput { kind, phase: PhaseName::Prepare, state, file };
    let mut touched = Instant::now();
    let status = loop {
        let mut is_important = |line: &str| supervised.record_line(line);
        tokio::select! {
            biased;
            status = child.wait() => break status.map_err(|source| SpawnError::Program { program, source })?,
            _ = catch_up_signal.recv() => {
                output.catch_up(&mut is_important);
                supervised.caught_up();
            }
            () = output.read_next(&mut is_important) => {}
        }
        if touched.elapsed() >= TOUCH_INTERVAL {
            touched = Instant::now();
            let _ = supervised.file.touch();
        }
    };
    output.finish(&mut |line| supervised.record_line(line));
    let SupervisedOutput { mut state, file, .. } = supervised;
    state.end = Some(CommandEnd::WaitStatus(status.into_raw()));
    file.write(&state).map_err(failed)?;
    drop(file);
    if stay {
        output.discard().await;
    }
    Ok(())
}

/// What a supervisor records about its command.
struct SupervisedOutput {
    kind: ProgramKind,
    phase: PhaseName,
    state: CommandState,
    file: StateFile,
}

impl SupervisedOutput {
    /// Records a phase in a line of output, and returns whether the line is always logged.
    fn record_line(&mut self, line: &str) -> bool {
        let marker = (self.kind == ProgramKind::Rebuild).then(|| ProgressMarker::parse(line)).flatten();
        if let Some(next) = marker.as_ref().and_then(|marker| marker.phase.clone())
            && ProgressMarker::may_follow(&self.phase, &next)
        {
            self.phase = next;
            self.state.phase = Some(self.phase.clone());
            // A failed write is harmless, because the log has the line too.
            let _ = self.file.write(&self.state);
        }
        marker.is_some_and(|marker| !marker.is_only_progress())
    }

    fn caught_up(&mut self) {
        self.state.caught_up = self.state.caught_up.map(|times| times.wrapping_add(1));
        let _ = self.file.write(&self.state);
    }
}

async fn lock(path: &Path) -> io::Result<Option<StateFile>> {
    for _ in 0..LOCK_ATTEMPTS {
        if let Some(file) = StateFile::lock(path)? {
            return Ok(Some(file));
        }
        sleep(LOCK_RETRY).await;
    }
    Ok(None)
}
