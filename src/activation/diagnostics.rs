//! Diagnostics of a failure: the end of the log, the journals of the failed units, the running system and the free disk
//! space.

use super::{Facts, last_lines};
use crate::jobs::JobDir;
use crate::private_file;
use crate::text::printable;
use std::fmt::Write;

/// How many lines of the log are included.
const LOG_LINES: usize = 60;
// Prefixes of the lines that do not come from the log.
const JOURNAL_PREFIX: &str = "-- journal of ";
const RUNNING_PREFIX: &str = "-- now runs ";
const FREE_SPACE: &str = " MiB are free on ";

/// Returns the diagnostics, with the journal of each failed unit.
pub fn collect_diagnostics(job_dir: &JobDir, journals: &[(String, String)], facts: &Facts) -> String {
    format_diagnostics(last_lines(&job_dir.log(), LOG_LINES).unwrap_or_default(), journals, facts)
}

/// Like [`collect_diagnostics`], with the given end of the log.
pub fn format_diagnostics(log: String, journals: &[(String, String)], facts: &Facts) -> String {
    let mut text = log;
    for (unit, journal) in journals {
        let _ = write!(text, "\n{JOURNAL_PREFIX}{}", printable(unit));
        for line in journal.lines() {
            let _ = write!(text, "\n{}", printable(line));
        }
    }
    // Only NixOS has a current system.
    if let Some(system) = &facts.system {
        let _ = write!(text, "\n{RUNNING_PREFIX}{system}");
    }
    for (what, bytes) in [("the nix store", facts.nix_free_bytes), ("/boot", facts.boot_free_bytes)] {
        if let Some(bytes) = bytes {
            let _ = write!(text, "\n-- {}{FREE_SPACE}{what}", bytes >> 20);
        }
    }
    // If the log is empty, the first line is preceded by a line break.
    text.trim_start_matches('\n').to_owned()
}

/// Returns the part of the diagnostics that follows the end of the log.
pub fn diagnostics_after_log(diagnostics: &str) -> &str {
    let is_after_log = |line: &str| {
        line.starts_with(JOURNAL_PREFIX)
            || line.starts_with(RUNNING_PREFIX)
            || (line.starts_with("-- ") && line.contains(FREE_SPACE))
    };
    let mut at = 0;
    for line in diagnostics.split_inclusive('\n') {
        if is_after_log(line) {
            break;
        }
        at += line.len();
    }
    &diagnostics[at..]
}

/// Saves the complete diagnostics in the job's directory, because a report holds only what fits into a message. Errors
/// are ignored: the result must be delivered even if the disk is full.
pub fn save_diagnostics(job_dir: &JobDir, text: &str) {
    let _ = private_file::write(&job_dir.path().join("diagnostics.txt"), text.as_bytes());
}
