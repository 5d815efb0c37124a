//! What a failure leaves behind: the end of the log, the journal of what failed, what runs now, and how much room there is.

use super::{Facts, last_lines};
use crate::jobs::JobFolder;
use crate::private;
use crate::protocol::printable;
use std::fmt::Write;

/// How many lines of the log are told.
const LOG_LINES: usize = 60;

/// Makes the text, with the journal of each failed unit.
pub fn diagnostics(folder: &JobFolder, journals: &[(String, String)], facts: &Facts) -> String {
    let mut text = last_lines(&folder.log(), LOG_LINES).unwrap_or_default();
    for (unit, journal) in journals {
        let _ = write!(text, "\n-- journal of {}", printable(unit));
        for line in journal.lines() {
            let _ = write!(text, "\n{}", printable(line));
        }
    }
    // A host that is not NixOS has none.
    if let Some(runs) = &facts.system {
        let _ = write!(text, "\n-- now runs {runs}");
    }
    for (what, bytes) in [("the nix store", facts.nix_free_bytes), ("/boot", facts.boot_free_bytes)] {
        if let Some(bytes) = bytes {
            let _ = write!(text, "\n-- {} MiB are free on {what}", bytes >> 20);
        }
    }
    // Where nothing was logged, what follows is the first line.
    text.trim_start_matches('\n').to_owned()
}

/// Keeps the whole text in the job's folder: a report tells what fits into a message. A full disk must not cost the
/// verdict.
pub fn keep_diagnostics(folder: &JobFolder, text: &str) {
    let _ = private::write(&folder.path().join("diagnostics.txt"), text.as_bytes());
}
