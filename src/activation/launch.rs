//! Processes that start others apart from the listener: one that becomes a program in a session of its own, and one that
//! supervises a command and notes how it ended.
//!
//! They are processes because only the new process itself can leave a session.

use super::supervised::{CommandEnd, StateFile};
use std::ffi::OsString;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

/// How often, and with which pause, a state file is locked that a listener may only be looking at.
const PATIENCE: u32 = 50;
const PAUSE: Duration = Duration::from_millis(20);

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

/// Starts a session, runs `program` in it, and writes into the file `state` how it ended. Does nothing if that file says
/// already that the command ended, or if another process runs it.
///
/// SIGTERM is sent to the whole session and is for the program: this process stays to see how the program ends.
pub async fn supervise(path: &Path, program: OsString, arguments: Vec<OsString>) -> Result<(), LaunchError> {
    let _ = rustix::process::setsid();
    let failed = |source| LaunchError::State { path: path.to_owned(), source };
    let _terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let Some(file) = lock(path).await.map_err(failed)? else { return Ok(()) };
    let mut state = file.read().map_err(failed)?;
    if state.pid.is_some() || state.end.is_some() {
        return Ok(());
    }
    state.pid = Some(rustix::process::getpid().as_raw_nonzero().get());
    file.write(&state).map_err(failed)?;
    let child = tokio::process::Command::new(&program).args(arguments).stdin(Stdio::null()).spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(source) => {
            state.end = Some(CommandEnd::NotStarted(source.to_string()));
            file.write(&state).map_err(failed)?;
            return Err(LaunchError::Program { program, source });
        }
    };
    let status = child.wait().await.map_err(|source| LaunchError::Program { program, source })?;
    state.end = Some(CommandEnd::WaitStatus(status.into_raw()));
    file.write(&state).map_err(failed)
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
