//! What a failed activation leaves behind.

use super::Program;
use crate::activation::{Facts, diagnostics, keep_diagnostics};

/// How many lines of each journal are told.
const JOURNAL_LINES: usize = 20;

impl Program {
    /// Puts into the report what fits there, and all of it into the job's folder.
    pub(super) async fn diagnose(&mut self) {
        let mut journals = Vec::new();
        for unit in &self.record.report.failed_units {
            journals.push((unit.clone(), self.units.journal(unit, JOURNAL_LINES).await));
        }
        let text = diagnostics(&self.folder, &journals, &Facts::read(&self.host.root));
        keep_diagnostics(&self.folder, &text);
        self.record.report.diagnostics = Some(text);
    }
}
