//! Processes that start others apart from the listener: one that becomes a program in a session of its own, and one that
//! supervises a command and notes how it ended.
//!
//! They are processes because only the new process itself can leave a session.

use super::bounded_log::{BoundedLog, LogRoom};
use super::child_output::ChildOutput;
use super::supervised::{CATCH_UP, CommandEnd, CommandState, StateFile};
use super::{JobLog, PhaseLine};
use crate::protocol::PhaseName;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep};

/// How often, and with which pause, a state file is locked that a listener may only be looking at.
const PATIENCE: u32 = 50;
const PAUSE: Duration = Duration::from_millis(20);

/// How often it is noted that a program has printed something.
const TOUCH: Duration = Duration::from_secs(1);

/// Why a program did not start.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The program itself.
    #[error("could not start {}: {source}", program.display())]
    Program {
        /// The program.
        program: OsString,
        /// The operating system's reason.
        #[source]
        source: io::Error,
    },
    /// The file of its state.
    #[error("could not use the state file {}: {source}", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        #[source]
        source: io::Error,
    },
}

/// Starts a session and becomes `program`. Comes back only if that fails.
pub fn run(program: OsString, arguments: Vec<OsString>) -> LaunchError {
    // Fails only where we lead a group already, and then the group is ours anyway.
    let _ = rustix::process::setsid();
    let source = Command::new(&program).args(arguments).exec();
    LaunchError::Program { program, source }
}

/// What a supervised program is to its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgramKind {
    /// A rebuild program: its output may be that of a build, and the lines that tell its phases are kept.
    Rebuild,
    /// A check of a new system.
    Check,
}

/// Starts a session, runs `program` in it, and writes into the file `state` how it ended. Does nothing if that file says
/// already that the command ended, or if another process runs it. Its output goes into the file `log`, as much as there
/// is room for.
///
/// SIGTERM is sent to the whole session and is for the program: this process stays to see how the program ends. If
/// `stays`, it also stays for what the program has left in the background, which could print no more without it.
pub async fn supervise(
    path: &Path,
    log: &Path,
    kind: ProgramKind,
    stays: bool,
    program: OsString,
    arguments: Vec<OsString>,
) -> Result<(), LaunchError> {
    let _ = rustix::process::setsid();
    let failed = |source| LaunchError::State { path: path.to_owned(), source };
    let _terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut asked = signal(SignalKind::from_raw(CATCH_UP.as_raw())).map_err(failed)?;
    let Some(file) = lock(path).await.map_err(failed)? else { return Ok(()) };
    let mut state = file.read().map_err(failed)?;
    if state.pid.is_some() || state.end.is_some() {
        return Ok(());
    }
    state.pid = Some(rustix::process::getpid().as_raw_nonzero().get());
    state.caught_up = Some(0);
    file.write(&state).map_err(failed)?;
    let room = match kind {
        ProgramKind::Rebuild => LogRoom::BUILD,
        ProgramKind::Check => LogRoom::STEP,
    };
    let log = JobLog::open(log).ok().map(|log| BoundedLog::new(log, room));
    let mut command = tokio::process::Command::new(&program);
    command.args(arguments).stdin(Stdio::null());
    let started = ChildOutput::of(&mut command, log).and_then(|output| Ok((command.spawn()?, output)));
    // It has the end of the pipe into which the program writes.
    drop(command);
    let (mut child, mut output) = match started {
        Ok(started) => started,
        Err(source) => {
            state.end = Some(CommandEnd::NotStarted(source.to_string()));
            file.write(&state).map_err(failed)?;
            return Err(LaunchError::Program { program, source });
        }
    };
    let mut notes = Notes { kind, phase: PhaseName::Prepare, state, file };
    let mut touched = Instant::now();
    let status = loop {
        let mut matters = |line: &str| notes.takes(line);
        tokio::select! {
            biased;
            status = child.wait() => break status.map_err(|source| LaunchError::Program { program, source })?,
            _ = asked.recv() => {
                output.catch_up(&mut matters);
                notes.caught_up();
            }
            () = output.take_next(&mut matters) => {}
        }
        if touched.elapsed() >= TOUCH {
            touched = Instant::now();
            let _ = notes.file.touch();
        }
    };
    output.finish(&mut |line| notes.takes(line));
    let Notes { mut state, file, .. } = notes;
    state.end = Some(CommandEnd::WaitStatus(status.into_raw()));
    file.write(&state).map_err(failed)?;
    drop(file);
    if stays {
        output.discard().await;
    }
    Ok(())
}

/// What a supervisor notes of its command.
struct Notes {
    kind: ProgramKind,
    phase: PhaseName,
    state: CommandState,
    file: StateFile,
}

impl Notes {
    /// Takes note of a line that the command has printed, and gives whether it is kept whatever the amount.
    fn takes(&mut self, line: &str) -> bool {
        let told = (self.kind == ProgramKind::Rebuild).then(|| PhaseLine::parse(line)).flatten();
        if let Some(next) = told.as_ref().and_then(|told| told.phase.clone())
            && PhaseLine::goes_on(&self.phase, &next)
        {
            self.phase = next;
            self.state.phase = Some(self.phase.clone());
            // Its line is in the log, if there is room for that.
            let _ = self.file.write(&self.state);
        }
        told.is_some_and(|told| !told.is_only_progress())
    }

    fn caught_up(&mut self) {
        self.state.caught_up = self.state.caught_up.map(|times| times.wrapping_add(1));
        let _ = self.file.write(&self.state);
    }
}

async fn lock(path: &Path) -> io::Result<Option<StateFile>> {
    for _ in 0..PATIENCE {
        if let Some(file) = StateFile::lock(path)? {
            return Ok(Some(file));
        }
        sleep(PAUSE).await;
    }
    Ok(None)
}
