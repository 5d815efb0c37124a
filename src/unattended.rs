//! Programs that run unattended: each has a session of its own without a terminal, and nothing to ask with.
//!
//! A program that asks for a password opens `/dev/tty`, whatever its stdin is. In our session it would draw over the console,
//! and from the background it could not even read the answer. Programs that exist for the person at the terminal, such as a
//! shell on a host, are not started here.

use process_wrap::tokio::{CommandWrap, CommandWrapper, ProcessSession};
use std::ffi::OsStr;
use std::process::Stdio;
use tokio::process::Command;

/// A program without a terminal, whose stdin is empty. It leads its session and its process group, so its id is also the
/// number of the group: a signal to that reaches all that it started.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    // It only notes what the child does before it becomes the program, and has nothing to fail at.
    let _ = ProcessSession.pre_spawn(&mut command, &CommandWrap::from(Command::new("")));
    command
        .stdin(Stdio::null())
        .env("GIT_TERMINAL_PROMPT", "0")
        // Also in place of `core.askPass` and `SSH_ASKPASS`: where it is empty, git asks with no program.
        .env("GIT_ASKPASS", "")
        // Without a terminal ssh would turn to this program, which opens a window.
        .env_remove("SSH_ASKPASS")
        .env("SSH_ASKPASS_REQUIRE", "never")
        // Where gpg-agent would ask.
        .env_remove("GPG_TTY");
    command
}
