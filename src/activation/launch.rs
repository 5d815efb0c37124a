//! The detached launcher: the process that becomes the program, in a session of its own.
//!
//! It runs as a process of its own because leaving a session is something that only the new process can do.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Why a program did not start.
#[derive(Debug, thiserror::Error)]
#[error("could not start {}: {source}", program.display())]
pub struct LaunchError {
    /// The program.
    pub program: OsString,
    /// The operating system's reason.
    #[source]
    pub source: io::Error,
}

/// Starts a session and becomes `program`. Comes back only if that fails.
pub fn run(program: OsString, arguments: Vec<OsString>) -> LaunchError {
    // Fails only where we lead a group already, and then the group is ours anyway.
    let _ = rustix::process::setsid();
    let source = Command::new(&program).args(arguments).exec();
    LaunchError { program, source }
}
