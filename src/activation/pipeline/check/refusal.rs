//! The reason why a closure refused, read from the output of `switch-to-configuration` and of the pre-switch checks of
//! NixOS.

use crate::activation::worker::BUSY;
use crate::text::{fitting_prefix, last, printable};

/// How many lines of a check are quoted.
const QUOTED_LINES: usize = 3;
/// How many bytes of each quoted line are quoted.
const MAX_QUOTED_LINE: usize = 300;

/// The NixOS check that compares what a running system cannot change.
const SWITCH_INHIBITORS: &str = "switchInhibitors";

/// The reason why a program of the closure failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CheckRefusal {
    /// The program is too old to know the requested action.
    Unknown,
    /// Another activation holds the lock.
    Busy,
    /// The pre-switch check of this name failed, after it printed these lines.
    Check { name: String, output: String },
    /// The program printed no known reason; these are its last lines.
    Other(String),
}

impl CheckRefusal {
    /// Parses the output of `switch-to-configuration`.
    pub(super) fn parse(output: &str) -> Self {
        let lines: Vec<&str> = output.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let name =
            |line: &str| Some(line.strip_prefix("Pre-switch check '")?.strip_suffix("' failed")?.to_owned());
        // Searched from the end, because a check may print the name of another one.
        if let Some((at, name)) =
            lines.iter().enumerate().rev().find_map(|(at, line)| Some((at, name(line)?)))
        {
            let output = &lines[..at];
            // This check ends with long advice for a user at the host; the changes are printed before it.
            let changes: Vec<&str> = output.iter().copied().filter(|line| line.contains(" -> ")).collect();
            let output = if name == SWITCH_INHIBITORS && !changes.is_empty() {
                quote(&changes)
            } else {
                quote(output)
            };
            return Self::Check { name, output };
        }
        if lines.contains(&"Could not acquire lock") {
            return Self::Busy;
        }
        if lines.iter().any(|line| line.starts_with("Usage:") && line.contains("switch|boot|test")) {
            return Self::Unknown;
        }
        Self::Other(quote(&lines))
    }

    /// Whether the new system can only be activated at boot.
    pub(super) fn is_inhibited(&self) -> bool {
        matches!(self, Self::Check { name, .. } if name == SWITCH_INHIBITORS)
    }

    /// Formats the reason as a clause. `program` names what printed it.
    pub(super) fn reason(&self, program: &str) -> String {
        match self {
            Self::Busy => BUSY.to_owned(),
            Self::Check { name, output } if output.is_empty() => {
                format!("the pre-switch check '{name}' failed")
            }
            Self::Check { name, output } => format!("the pre-switch check '{name}' failed: {output}"),
            Self::Other(output) if output.is_empty() => format!("{program} refused and printed no reason"),
            Self::Other(output) => format!("{program} refused: {output}"),
            Self::Unknown => format!("{program} does not support the requested action"),
        }
    }
}

/// Returns the last lines without control characters.
pub(super) fn quote(lines: &[&str]) -> String {
    let last = last(lines, QUOTED_LINES);
    last.iter().map(|line| printable(fitting_prefix(line, MAX_QUOTED_LINE))).collect::<Vec<_>>().join(" / ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_that_failed_is_named_with_the_lines_before_it() {
        let output = "Checking switch inhibitors... done\nonly 3 MiB are free on /boot\n\n\
                      Pre-switch check 'diskSpace' failed\nPre-switch checks failed\n";
        assert_eq!(
            CheckRefusal::parse(output).reason("x"),
            "the pre-switch check 'diskSpace' failed: Checking switch inhibitors... done / only 3 MiB are free on /boot"
        );
        let silent = "Pre-switch check 'diskSpace' failed\nPre-switch checks failed\n";
        assert_eq!(CheckRefusal::parse(silent).reason("x"), "the pre-switch check 'diskSpace' failed");
    }

    #[test]
    fn of_inhibitors_the_changes_are_quoted_and_not_the_advice() {
        let output = "Checking switch inhibitors...\nThere are changes to critical components of the system:\n\n\
                      dbus-implementation : dbus -> broker\n\nSwitching into this system is not recommended.\n\n\
                      WARNING: doing so might cause the switch to fail or your system to become unstable.\n\n\
                      Pre-switch check 'switchInhibitors' failed\nPre-switch checks failed\n";
        let refusal = CheckRefusal::parse(output);
        assert!(refusal.is_inhibited());
        let why = "the pre-switch check 'switchInhibitors' failed: dbus-implementation : dbus -> broker";
        assert_eq!(refusal.reason("x"), why);
    }

    #[test]
    fn a_lock_counts_only_as_the_whole_line_of_the_program_itself() {
        assert_eq!(CheckRefusal::parse("Could not acquire lock\n"), CheckRefusal::Busy);
        let other = "iptables: Could not acquire lock\n";
        assert_eq!(CheckRefusal::parse(other).reason("it"), "it refused: iptables: Could not acquire lock");
        let checked = "Could not acquire lock\nPre-switch check 'backup' failed\nPre-switch checks failed\n";
        assert!(matches!(CheckRefusal::parse(checked), CheckRefusal::Check { name, .. } if name == "backup"));
    }

    #[test]
    fn a_program_of_the_time_before_check_is_known_by_its_usage() {
        for usage in [
            "Usage: /x/bin/switch-to-configuration [switch|boot|test|dry-activate]",
            "Usage: y [switch|boot|test]",
        ] {
            assert_eq!(CheckRefusal::parse(usage), CheckRefusal::Unknown);
        }
        assert_ne!(CheckRefusal::parse("Usage: df [OPTION]... [FILE]..."), CheckRefusal::Unknown);
        assert_eq!(CheckRefusal::parse("").reason("it"), "it refused and printed no reason");
    }
}
