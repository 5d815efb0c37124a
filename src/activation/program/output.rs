//! What `switch-to-configuration` printed, read line by line: it says more than its exit code.

use crate::nix::{Units, units_of_activation};
use crate::protocol::printable;

/// How many bytes of unit lists are kept.
const MAX_UNIT_LINES: usize = 1 << 20;

/// How many failures of one kind are kept.
const MAX_ITEMS: usize = 1000;

/// What is printed when the change of the host begins.
const BEGINNINGS: [&str; 2] = ["stopping the following units: ", "activating the configuration..."];

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
    /// The units that were touched.
    pub(super) fn units(&self) -> Units {
        units_of_activation(&self.unit_lines)
    }

    /// Takes in the next line.
    pub(super) fn line(&mut self, line: &str) {
        let line = printable(line.trim_end());
        self.waits_for_user =
            line.strip_prefix("reloading user units for ").map(|user| user.trim_end_matches('.').to_owned());
        if line == "Could not acquire lock" {
            // After the change, an activation script may say this of something else.
            self.lock_held |= !self.began;
        }
        // A program of the activation may have left its last line without an end.
        if BEGINNINGS.iter().any(|text| line.contains(text)) {
            self.began = true;
        }
        if line.contains("Failed to run activate script") {
            self.script_failed = true;
        }
        if let Some(snippet) = snippet(&line) {
            keep(&mut self.failed_snippets, snippet);
        }
        if let Some((verb, unit)) = failed_job(&line) {
            let list = if verb == "reload" { &mut self.failed_reloads } else { &mut self.failed_jobs };
            keep(list, unit);
        }
        if is_about_a_user(&line) {
            keep(&mut self.failed_users, line.trim_start_matches("warning: "));
        } else if line.contains("the following ") && self.unit_lines.len() < MAX_UNIT_LINES {
            self.unit_lines.push_str(&line);
            self.unit_lines.push('\n');
        }
        if REASONS.iter().any(|start| line.starts_with(start)) {
            self.reason = Some(line);
        }
    }
}

fn keep(list: &mut Vec<String>, item: &str) {
    if list.len() < MAX_ITEMS {
        list.push(item.to_owned());
    }
}

/// The name in `Activation script snippet 'etc' failed (1)`.
fn snippet(line: &str) -> Option<&str> {
    let (_, told) = line.split_once("Activation script snippet '")?;
    let (name, rest) = told.split_once('\'')?;
    rest.starts_with(" failed").then_some(name)
}

/// Verb and unit of `Failed to restart web.service: why`.
fn failed_job(line: &str) -> Option<(&str, &str)> {
    let (before, told) = line.split_once("Failed to ")?;
    // `systemctl status` shows the journal, where a blank stands before it; a line without an end ends in a word.
    if before.ends_with(char::is_whitespace) {
        return None;
    }
    let (verb, rest) = told.split_once(' ')?;
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
    fn line_without_an_end_hides_nothing() {
        let output = read(
            "nobody is thereactivating the configuration...\nsecrets: Activation script snippet 'secrets' failed (1)\n\
             secrets are thereFailed to run activate script\nstartingFailed to start web.service: bad unit file\n\
             Nov 01 ns1 systemd[1]: Failed to start old.service.",
        );
        assert!(output.began && output.script_failed);
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
    fn user_that_is_waited_for_is_the_one_of_the_last_line() {
        assert_eq!(read("reloading user units for alice...").waits_for_user.as_deref(), Some("alice"));
        assert_eq!(read("reloading user units for alice...\nrestarting sysinit").waits_for_user, None);
    }
}
