//! What `switch-to-configuration` printed, read line by line: it says more than its exit code.

use crate::nix::{Units, units_of_activation};
use crate::protocol::printable;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// How much is read at a time.
const CHUNK: usize = 64 << 10;
/// The longest line that is looked at; the programs of an activation print what they like.
const MAX_LINE: usize = 64 << 10;
/// How many bytes of unit lists are kept.
const MAX_UNIT_LINES: usize = 1 << 20;

/// How the lines begin by which the program says why it gives up.
const REASONS: [&str; 5] = ["Error: ", "Failed to ", "Unable to ", "Could not ", "This is not "];

/// What the output of one run says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SwitchOutput {
    /// Whether it stopped units or ran the activation script: from then on the host is changed.
    pub(super) began: bool,
    /// Whether another activation held the lock.
    pub(super) lock_held: bool,
    /// Whether the activation script failed. The exit code does not tell if units failed as well.
    pub(super) script_failed: bool,
    /// The parts of the activation script that failed.
    pub(super) failed_snippets: Vec<String>,
    /// Units that systemd refused to start, restart or stop.
    pub(super) failed_jobs: Vec<String>,
    /// Units that could not be reloaded: they run on with what they had before.
    pub(super) failed_reloads: Vec<String>,
    /// What failed in the service managers of users, as it was printed.
    pub(super) failed_users: Vec<String>,
    /// The user whose service manager is waited for.
    pub(super) waits_for_user: Option<String>,
    /// The last line by which the program says what went wrong.
    pub(super) reason: Option<String>,
    /// The lists of units.
    pub(super) unit_lines: String,
}

impl SwitchOutput {
    /// The output of which nothing is known: it could not be kept.
    pub(super) fn unknown() -> Self {
        Self { began: true, ..Self::default() }
    }

    /// The units that were touched.
    pub(super) fn units(&self) -> Units {
        units_of_activation(&self.unit_lines)
    }

    fn line(&mut self, line: &str) {
        let line = printable(line.trim_end());
        self.waits_for_user =
            line.strip_prefix("reloading user units for ").map(|user| user.trim_end_matches('.').to_owned());
        if line == "Could not acquire lock" {
            // After the change, an activation script may say this of something else.
            self.lock_held |= !self.began;
        }
        if line.starts_with("stopping the following units: ") || line == "activating the configuration..." {
            self.began = true;
        }
        if line.starts_with("Failed to run activate script") {
            self.script_failed = true;
        }
        if let Some(snippet) = snippet(&line) {
            self.failed_snippets.push(snippet.to_owned());
        }
        if let Some((verb, unit)) = failed_job(&line) {
            let list = if verb == "reload" { &mut self.failed_reloads } else { &mut self.failed_jobs };
            list.push(unit.to_owned());
        }
        if is_about_a_user(&line) {
            self.failed_users.push(line.trim_start_matches("warning: ").to_owned());
        } else if line.contains("the following ") && self.unit_lines.len() < MAX_UNIT_LINES {
            self.unit_lines.push_str(&line);
            self.unit_lines.push('\n');
        }
        if REASONS.iter().any(|start| line.starts_with(start)) {
            self.reason = Some(line);
        }
    }
}

/// The name in `Activation script snippet 'etc' failed (1)`.
fn snippet(line: &str) -> Option<&str> {
    let (name, rest) = line.strip_prefix("Activation script snippet '")?.split_once('\'')?;
    rest.starts_with(" failed").then_some(name)
}

/// Verb and unit of `Failed to restart web.service: why`.
fn failed_job(line: &str) -> Option<(&str, &str)> {
    let (verb, rest) = line.strip_prefix("Failed to ")?.split_once(' ')?;
    if !["start", "restart", "reload", "stop"].contains(&verb) {
        return None;
    }
    // A template's instance may hold a colon; the reason comes after a colon and a space.
    let unit = rest.split_once(": ").map_or(rest, |(unit, _)| unit);
    let is_unit = !unit.contains(' ') && unit.contains('.');
    is_unit.then_some((verb, unit))
}

fn is_about_a_user(line: &str) -> bool {
    line.starts_with("warning: the following user units failed: ")
        || line.starts_with("warning: user activation for ")
        || (line.starts_with("Failed to ") && line.contains(" user unit "))
}

/// Reads the output while the log that holds it grows.
#[derive(Debug)]
pub(super) struct OutputReader {
    log: PathBuf,
    offset: u64,
    rest: Vec<u8>,
    output: SwitchOutput,
}

impl OutputReader {
    /// Reads a log from `offset` on.
    pub(super) fn new(log: &Path, offset: u64) -> Self {
        Self { log: log.to_owned(), offset, rest: Vec::new(), output: SwitchOutput::default() }
    }

    /// Reads what has been added, and gives what is known by now.
    pub(super) fn read(&mut self) -> io::Result<&SwitchOutput> {
        let mut file = File::open(&self.log)?;
        file.seek(SeekFrom::Start(self.offset))?;
        let mut chunk = vec![0; CHUNK];
        loop {
            let length = file.read(&mut chunk)?;
            if length == 0 {
                return Ok(&self.output);
            }
            self.offset += length as u64;
            self.rest.extend_from_slice(&chunk[..length]);
            let mut start = 0;
            while let Some(end) = self.rest[start..].iter().position(|byte| *byte == b'\n') {
                self.output.line(&String::from_utf8_lossy(&self.rest[start..start + end]));
                start += end + 1;
            }
            self.rest.drain(..start);
            self.rest.truncate(MAX_LINE);
        }
    }

    /// Reads the rest, also a line without an end.
    pub(super) fn finish(mut self) -> SwitchOutput {
        if self.read().is_err() {
            return SwitchOutput::unknown();
        }
        let rest = std::mem::take(&mut self.rest);
        if !rest.is_empty() {
            self.output.line(&String::from_utf8_lossy(&rest));
        }
        self.output
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> SwitchOutput {
        let mut output = SwitchOutput::default();
        text.lines().for_each(|line| output.line(line));
        output
    }

    #[test]
    fn failed_script_is_seen_before_any_amount_of_output() {
        let status = "x\n".repeat(20_000);
        let output = read(&format!(
            "stopping the following units: web.service\nactivating the configuration...\n\
             Activation script snippet 'secrets' failed (1)\nFailed to run activate script\n\
             warning: the following units failed: chronic.service\n{status}"
        ));
        assert!(output.began && output.script_failed);
        assert_eq!(output.failed_snippets, ["secrets"]);
        assert_eq!(output.units().failed, ["chronic.service"]);
        assert_eq!(output.units().stopped, ["web.service"]);
    }

    #[test]
    fn lock_counts_only_as_a_complete_line_before_the_change() {
        assert!(read("Could not acquire lock").lock_held);
        assert!(!read("iptables: Could not acquire lock").lock_held);
        assert!(!read("activating the configuration...\nCould not acquire lock").lock_held);
    }

    #[test]
    fn failed_jobs_name_their_units() {
        let output = read(
            "Failed to start web.service: Unit web.service has a bad unit file setting.\n\
             Failed to reload rl.service\nFailed to restart user unit u.service\nFailed to open dbus connection\n\
             warning: user activation for alice failed\nwarning: the following user units failed: u.service",
        );
        assert_eq!(output.failed_jobs, ["web.service"]);
        assert_eq!(output.failed_reloads, ["rl.service"]);
        assert_eq!(
            output.failed_users,
            [
                "Failed to restart user unit u.service",
                "user activation for alice failed",
                "the following user units failed: u.service"
            ]
        );
        assert_eq!(output.reason.as_deref(), Some("Failed to open dbus connection"));
        assert_eq!(output.units().failed, [""; 0]);
    }

    #[test]
    fn user_that_is_waited_for_is_the_one_of_the_last_line() {
        assert_eq!(read("reloading user units for alice...").waits_for_user.as_deref(), Some("alice"));
        assert_eq!(read("reloading user units for alice...\nrestarting sysinit").waits_for_user, None);
    }
}
