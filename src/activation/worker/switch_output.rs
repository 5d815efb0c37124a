//! Parses the output of `switch-to-configuration` line by line; it shows more than the exit code.

use crate::nix::{UnitChanges, parse_unit_changes};
use crate::text::printable;

/// How many bytes of unit lists are stored.
const MAX_UNIT_LINES: usize = 1 << 20;

/// How many failures of one kind are stored.
const MAX_ITEMS: usize = 1000;

/// What the program prints when it starts to change the host.
const CHANGE_STARTS: [&str; 2] = ["stopping the following units: ", "activating the configuration..."];

/// Prefixes of lines with the reason of a failure.
const REASON_STARTS: [&str; 5] = ["Error: ", "Failed to ", "Unable to ", "Could not ", "This is not "];

/// The parsed output of one run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SwitchOutput {
    /// Whether it stopped units or ran the activation script: from then on, the host is changed.
    pub(super) has_started: bool,
    /// Whether another activation held the lock.
    pub(super) lock_held: bool,
    /// Whether the activation script failed. If units failed as well, the exit code does not show it.
    pub(super) script_failed: bool,
    /// The snippets of the activation script that failed.
    pub(super) failed_snippets: Vec<String>,
    /// Units that systemd failed to start, restart or stop.
    pub(super) failed_jobs: Vec<String>,
    /// Units that could not be reloaded: they keep running with their old configuration.
    pub(super) failed_reloads: Vec<String>,
    /// Lines about failures in the service managers of users.
    pub(super) failed_users: Vec<String>,
    /// The user whose service manager the program is waiting for.
    pub(super) waits_for_user: Option<String>,
    /// The last line with a reason of a failure.
    pub(super) reason: Option<String>,
    /// The lines that list units.
    pub(super) unit_lines: String,
}

impl SwitchOutput {
    /// The units that the program touched.
    pub(super) fn units(&self) -> UnitChanges {
        parse_unit_changes(&self.unit_lines)
    }

    /// Parses the next line.
    pub(super) fn line(&mut self, line: &str) {
        let line = printable(line.trim_end());
        self.waits_for_user =
            line.strip_prefix("reloading user units for ").map(|user| user.trim_end_matches('.').to_owned());
        if line == "Could not acquire lock" {
            // After the change has started, an activation script may print the same line about another lock.
            self.lock_held |= !self.has_started;
        }
        // Another program may have printed its last line without a line end.
        if CHANGE_STARTS.iter().any(|text| line.contains(text)) {
            self.has_started = true;
        }
        if line.contains("Failed to run activate script") {
            self.script_failed = true;
        }
        if let Some(snippet) = failed_snippet(&line) {
            push_bounded(&mut self.failed_snippets, snippet);
        }
        if let Some((verb, unit)) = failed_job(&line) {
            let list = if verb == "reload" { &mut self.failed_reloads } else { &mut self.failed_jobs };
            push_bounded(list, unit);
        }
        if is_user_failure(&line) {
            push_bounded(&mut self.failed_users, line.trim_start_matches("warning: "));
        } else if line.contains("the following ") && self.unit_lines.len() < MAX_UNIT_LINES {
            self.unit_lines.push_str(&line);
            self.unit_lines.push('\n');
        }
        if REASON_STARTS.iter().any(|start| line.starts_with(start)) {
            self.reason = Some(line);
        }
    }
}

fn push_bounded(list: &mut Vec<String>, item: &str) {
    if list.len() < MAX_ITEMS {
        list.push(item.to_owned());
    }
}

/// Returns the name in `Activation script snippet 'etc' failed (1)`.
fn failed_snippet(line: &str) -> Option<&str> {
    let (_, after) = line.split_once("Activation script snippet '")?;
    let (name, rest) = after.split_once('\'')?;
    rest.starts_with(" failed").then_some(name)
}

/// Returns verb and unit of `Failed to restart web.service: why`.
fn failed_job(line: &str) -> Option<(&str, &str)> {
    let (before, after) = line.split_once("Failed to ")?;
    // `systemctl status` quotes the journal, where a space precedes this text. An unfinished line of another program
    // rarely ends with a space.
    if before.ends_with(char::is_whitespace) {
        return None;
    }
    let (verb, rest) = after.split_once(' ')?;
    if !["start", "restart", "reload", "stop"].contains(&verb) {
        return None;
    }
    // A template's instance may hold a colon; the reason comes after a colon and a space.
    let unit = rest.split_once(": ").map_or(rest, |(unit, _)| unit);
    let is_unit = !unit.contains(' ') && unit.contains('.');
    is_unit.then_some((verb, unit))
}

fn is_user_failure(line: &str) -> bool {
    line.starts_with("warning: the following user units failed: ")
        || line.starts_with("warning: user activation for ")
        || (line.starts_with("Failed to ") && line.contains(" user unit "))
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
        assert!(output.has_started && output.script_failed);
        assert_eq!(output.failed_snippets, ["secrets"]);
        assert_eq!(output.units().failed, ["chronic.service"]);
        assert_eq!(output.units().stopped, ["web.service"]);
    }

    #[test]
    fn line_without_an_end_hides_nothing() {
        let output = read(
            "no one is thereactivating the configuration...\nsecrets: Activation script snippet 'secrets' failed (1)\n\
             secrets are thereFailed to run activate script\nstartingFailed to start web.service: bad unit file\n\
             Nov 01 ns1 systemd[1]: Failed to start old.service.",
        );
        assert!(output.has_started && output.script_failed);
        assert_eq!(
            (output.failed_snippets, output.failed_jobs),
            (vec!["secrets".into()], vec!["web.service".into()])
        );
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
    fn waits_for_the_user_of_the_last_line() {
        assert_eq!(read("reloading user units for alice...").waits_for_user.as_deref(), Some("alice"));
        assert_eq!(read("reloading user units for alice...\nrestarting sysinit").waits_for_user, None);
    }
}
