//! What a failure leaves behind: the end of the log, the journal of what failed, what runs now, and how much room there is.

use super::{Facts, last_lines};
use crate::jobs::JobFolder;
use crate::private;
use crate::protocol::printable;
use std::fmt::Write;

/// How many lines of the log are told.
const LOG_LINES: usize = 60;
/// How the lines begin that are not of the log.
const JOURNAL: &str = "-- journal of ";
const RUNS: &str = "-- now runs ";
const FREE: &str = " MiB are free on ";

/// Makes the text, with the journal of each failed unit.
pub fn diagnostics(folder: &JobFolder, journals: &[(String, String)], facts: &Facts) -> String {
    with_log(last_lines(&folder.log(), LOG_LINES).unwrap_or_default(), journals, facts)
}

/// The same with this end of the log.
pub fn with_log(log: String, journals: &[(String, String)], facts: &Facts) -> String {
    let mut text = log;
    for (unit, journal) in journals {
        let _ = write!(text, "\n{JOURNAL}{}", printable(unit));
        for line in journal.lines() {
            let _ = write!(text, "\n{}", printable(line));
        }
    }
    // A host that is not NixOS has none.
    if let Some(runs) = &facts.system {
        let _ = write!(text, "\n{RUNS}{runs}");
    }
    for (what, bytes) in [("the nix store", facts.nix_free_bytes), ("/boot", facts.boot_free_bytes)] {
        if let Some(bytes) = bytes {
            let _ = write!(text, "\n-- {}{FREE}{what}", bytes >> 20);
        }
    }
    // Where nothing was logged, what follows is the first line.
    text.trim_start_matches('\n').to_owned()
}

/// What such a text has beside the end of the log.
pub fn beside_log(diagnostics: &str) -> &str {
    let is_beside = |line: &str| {
        line.starts_with(JOURNAL)
            || line.starts_with(RUNS)
            || (line.starts_with("-- ") && line.contains(FREE))
    };
    let mut at = 0;
    for line in diagnostics.split_inclusive('\n') {
        if is_beside(line) {
            break;
        }
        at += line.len();
    }
    &diagnostics[at..]
}

/// Keeps the whole text in the job's folder: a report tells what fits into a message. A full disk must not cost the
/// verdict.
pub fn keep_diagnostics(folder: &JobFolder, text: &str) {
    let _ = private::write(&folder.path().join("diagnostics.txt"), text.as_bytes());
}
