//! Why a closure refused: read from all that `switch-to-configuration` and the checks of NixOS printed, on both outputs.

use crate::activation::program::BUSY;
use crate::protocol::{fit_start, printable};

/// How many lines of a check are quoted, and how many bytes of each.
const LINES: usize = 3;
const LINE: usize = 300;

/// The check of NixOS that compares what a running system cannot take up.
const INHIBITORS: &str = "switchInhibitors";

/// Why a program of the closure did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is from the time before the action that was asked for.
    Unknown,
    /// Another one holds the lock.
    Busy,
    /// The pre-switch check of this name failed, after these lines.
    Check { name: String, said: String },
    /// It gives no name; these are its last words.
    Other(String),
}

impl Refusal {
    /// Reads the output of `switch-to-configuration`.
    pub(super) fn read(output: &str) -> Self {
        let lines: Vec<&str> = output.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let name =
            |line: &str| Some(line.strip_prefix("Pre-switch check '")?.strip_suffix("' failed")?.to_owned());
        // The last one: a check may quote another.
        if let Some((at, name)) =
            lines.iter().enumerate().rev().find_map(|(at, line)| Some((at, name(line)?)))
        {
            let said = &lines[..at];
            // That check ends with long advice for a person at the host; what changes comes before.
            let changes: Vec<&str> = said.iter().copied().filter(|line| line.contains(" -> ")).collect();
            let said = if name == INHIBITORS && !changes.is_empty() { quote(&changes) } else { quote(said) };
            return Self::Check { name, said };
        }
        if lines.contains(&"Could not acquire lock") {
            return Self::Busy;
        }
        if lines.iter().any(|line| line.starts_with("Usage:") && line.contains("switch|boot|test")) {
            return Self::Unknown;
        }
        Self::Other(quote(&lines))
    }

    /// Whether only a boot can take the new system up.
    pub(super) fn is_inhibited(&self) -> bool {
        matches!(self, Self::Check { name, .. } if name == INHIBITORS)
    }

    /// Why, as a clause; `program` is what printed it.
    pub(super) fn why(&self, program: &str) -> String {
        match self {
            Self::Busy => BUSY.to_owned(),
            Self::Check { name, said } if said.is_empty() => format!("the pre-switch check '{name}' failed"),
            Self::Check { name, said } => format!("the pre-switch check '{name}' failed: {said}"),
            Self::Other(said) if said.is_empty() => format!("{program} refused and printed no reason"),
            Self::Other(said) => format!("{program} refused: {said}"),
            Self::Unknown => format!("{program} does not know what it was asked for"),
        }
    }
}

/// The last lines, made harmless.
pub(super) fn quote(lines: &[&str]) -> String {
    let last = &lines[lines.len().saturating_sub(LINES)..];
    last.iter().map(|line| printable(fit_start(line, LINE))).collect::<Vec<_>>().join(" / ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_that_failed_is_named_with_the_lines_before_it() {
        let output = "Checking switch inhibitors... done\nonly 3 MiB are free on /boot\n\n\
                      Pre-switch check 'diskSpace' failed\nPre-switch checks failed\n";
        assert_eq!(
            Refusal::read(output).why("x"),
            "the pre-switch check 'diskSpace' failed: Checking switch inhibitors... done / only 3 MiB are free on /boot"
        );
        let silent = "Pre-switch check 'diskSpace' failed\nPre-switch checks failed\n";
        assert_eq!(Refusal::read(silent).why("x"), "the pre-switch check 'diskSpace' failed");
    }

    #[test]
    fn of_inhibitors_the_changes_are_quoted_and_not_the_advice() {
        let output = "Checking switch inhibitors...\nThere are changes to critical components of the system:\n\n\
                      dbus-implementation : dbus -> broker\n\nSwitching into this system is not recommended.\n\n\
                      WARNING: doing so might cause the switch to fail or your system to become unstable.\n\n\
                      Pre-switch check 'switchInhibitors' failed\nPre-switch checks failed\n";
        let refusal = Refusal::read(output);
        assert!(refusal.is_inhibited());
        let why = "the pre-switch check 'switchInhibitors' failed: dbus-implementation : dbus -> broker";
        assert_eq!(refusal.why("x"), why);
    }

    #[test]
    fn a_lock_counts_only_as_the_whole_line_of_the_program_itself() {
        assert_eq!(Refusal::read("Could not acquire lock\n"), Refusal::Busy);
        let other = "iptables: Could not acquire lock\n";
        assert_eq!(Refusal::read(other).why("it"), "it refused: iptables: Could not acquire lock");
        let checked = "Could not acquire lock\nPre-switch check 'backup' failed\nPre-switch checks failed\n";
        assert!(matches!(Refusal::read(checked), Refusal::Check { name, .. } if name == "backup"));
    }

    #[test]
    fn a_program_of_the_time_before_check_is_known_by_its_usage() {
        for usage in [
            "Usage: /x/bin/switch-to-configuration [switch|boot|test|dry-activate]",
            "Usage: y [switch|boot|test]",
        ] {
            assert_eq!(Refusal::read(usage), Refusal::Unknown);
        }
        assert_ne!(Refusal::read("Usage: df [OPTION]... [FILE]..."), Refusal::Unknown);
        assert_eq!(Refusal::read("").why("it"), "it refused and printed no reason");
    }
}
