//! The terminal lent to a program of the operator's. What the network brings is folded meanwhile.

use super::outside::Outside;
use super::{App, Event, update};
use rustix::stdio::stdin;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use tokio::process::Command;
use tokio::sync::mpsc;

/// Runs a command of a shell until it ends; gives why it did not end well. The terminal must have been given back.
///
/// It stays in our process group: so ctrl-z stops us both, and whoever started us has the terminal.
pub(super) async fn lend(
    command: &str,
    app: &mut App,
    outside: &mut Outside,
    events: &mut mpsc::Receiver<Event>,
) -> Result<(), String> {
    let _modes = Modes::kept();
    let child = Command::new("/bin/sh").arg("-c").arg(command).kill_on_drop(true).spawn();
    let mut child = child.map_err(|error| format!("could not start /bin/sh: {error}"))?;
    loop {
        tokio::select! {
            biased;
            status = child.wait() => {
                let status = status.map_err(|error| format!("could not wait for `{command}`: {error}"))?;
                return told(command, status);
            }
            Some(event) = events.recv() => {
                for effect in update(app, event) {
                    outside.carry_out(effect);
                }
            }
        }
    }
}

fn told(command: &str, status: ExitStatus) -> Result<(), String> {
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(()),
        (Some(code), _) => Err(format!("ended with {code}: {command}")),
        (None, signal) => Err(format!("ended by signal {}: {command}", signal.unwrap_or(0))),
    }
}

/// The modes of the terminal as they were; whatever the program leaves behind, they are again.
struct Modes(Option<Termios>);

impl Modes {
    fn kept() -> Self {
        Self(tcgetattr(stdin()).ok())
    }
}

impl Drop for Modes {
    fn drop(&mut self) {
        if let Some(modes) = &self.0 {
            let _ = tcsetattr(stdin(), OptionalActions::Now, modes);
        }
    }
}
