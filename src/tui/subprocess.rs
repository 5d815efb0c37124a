//! Runs a program of the operator in the terminal, such as a shell on a host. Events from the network are still applied.

use super::effects::Runtime;
use super::{App, ConsoleEvent, update};
use crate::protocol::Name;
use crate::text::printable;
use rustix::stdio::stdin;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use tokio::process::Command;
use tokio::sync::mpsc;

/// Template if none is configured.
const DEFAULT: &str = "ssh {host}";

/// Runs a shell command until it ends; the error says how it failed. The terminal must be restored first.
///
/// The command stays in the process group of the console, so that ctrl-z stops both.
pub(super) async fn run_in_terminal(
    command: &str,
    app: &mut App,
    runtime: &mut Runtime,
    events: &mut mpsc::Receiver<ConsoleEvent>,
) -> Result<(), String> {
    let _modes = TerminalModes::save();
    let child = Command::new("/bin/sh").arg("-c").arg(command).kill_on_drop(true).spawn();
    let mut child = child.map_err(|error| format!("failed to start /bin/sh: {error}"))?;
    loop {
        tokio::select! {
            biased;
            status = child.wait() => {
                let status = status.map_err(|error| format!("failed to wait for `{command}`: {error}"))?;
                return describe_exit(command, status);
            }
            Some(event) = events.recv() => {
                for effect in update(app, event) {
                    runtime.perform(effect);
                }
            }
        }
    }
}

fn describe_exit(command: &str, status: ExitStatus) -> Result<(), String> {
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(()),
        (Some(code), _) => Err(format!("exited with code {code}: {command}")),
        (None, signal) => Err(format!("killed by signal {}: {command}", signal.unwrap_or(0))),
    }
}

/// The terminal modes before the program; restored when this is dropped.
struct TerminalModes(Option<Termios>);

impl TerminalModes {
    fn save() -> Self {
        Self(tcgetattr(stdin()).ok())
    }
}

impl Drop for TerminalModes {
    fn drop(&mut self) {
        if let Some(modes) = &self.0 {
            let _ = tcsetattr(stdin(), OptionalActions::Now, modes);
        }
    }
}

/// The command for `/bin/sh -c`, or why none is possible.
pub(super) fn command(template: Option<&str>, host: &Name, unit: Option<&str>) -> Result<String, String> {
    let host = host.as_str();
    if host.starts_with('-') {
        return Err(format!("no shell opened: the host name {host} would be read as an option"));
    }
    let template = template.unwrap_or(DEFAULT);
    let fill = |template: &str| template.replace("{host}", host);
    let Some(unit) = unit else { return Ok(fill(template)) };
    // The name comes from the network and passes through two shells.
    let harmless = |c: char| c.is_ascii_alphanumeric() || ":_.@-\\".contains(c);
    if unit.is_empty() || !unit.chars().all(harmless) {
        return Err(format!("journal not opened: invalid unit name {}", printable(unit)));
    }
    // systemd escapes with backslashes, which the shell on the host would remove. Other names are not quoted twice,
    // because a custom command may not use a shell on the host.
    let unit = if unit.contains('\\') { format!(r"\''{unit}'\'") } else { format!("'{unit}'") };
    // ssh allocates no terminal for a command, and without one journalctl starts no pager.
    let template = match template.strip_prefix("ssh ") {
        Some(rest) => format!("ssh -t {rest}"),
        None => template.to_owned(),
    };
    Ok(format!("{} journalctl -b -e -u {unit}", fill(&template)))
}
