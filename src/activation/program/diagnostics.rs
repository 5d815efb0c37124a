//! What a failure leaves behind: the end of the log, the journal of what failed, what runs now, and how much room there is.

use super::Program;
use crate::activation::{Facts, last_lines};
use crate::protocol::printable;
use std::fmt::Write;
use std::fs;

/// How many lines of the log and of each journal are told.
const LOG_LINES: usize = 60;
const JOURNAL_LINES: usize = 20;

impl Program {
    /// Puts into the report what fits there, and all of it into the job's folder.
    pub(super) async fn diagnose(&mut self) {
        let mut text = last_lines(&self.folder.log(), LOG_LINES).unwrap_or_default();
        for unit in &self.record.report.failed_units {
            let journal = self.units.journal(unit, JOURNAL_LINES).await;
            let _ = write!(text, "\n-- journal of {}", printable(unit));
            for line in journal.lines() {
                let _ = write!(text, "\n{}", printable(line));
            }
        }
        let facts = Facts::read(&self.host.root);
        let runs = facts.system.as_deref().unwrap_or("nothing that could be told");
        let _ = write!(text, "\n-- now runs {runs}");
        for (what, bytes) in [("the nix store", facts.nix_free_bytes), ("/boot", facts.boot_free_bytes)] {
            if let Some(bytes) = bytes {
                let _ = write!(text, "\n-- {} MiB are free on {what}", bytes >> 20);
            }
        }
        // The report tells what fits; a full disk must not cost the verdict.
        let _ = fs::write(self.folder.path().join("diagnostics.txt"), &text);
        self.record.report.diagnostics = Some(text);
    }
}
