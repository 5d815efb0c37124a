//! How many hosts of a deployment are how.

use crate::protocol::Status;
use serde::Serialize;

/// How many hosts of a deployment are how, as far as they were heard of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "each is the number of hosts that are so")]
pub struct Tally {
    pub completed: usize,
    pub failed: usize,
    pub rejected: usize,
    pub running: usize,
}

impl Tally {
    /// Counts one more.
    pub fn add(&mut self, status: &Status) {
        *self.of(status) += 1;
    }

    pub(super) fn take(&mut self, status: &Status) {
        let count = self.of(status);
        *count = count.saturating_sub(1);
    }

    /// How many have their verdict.
    pub fn ended(&self) -> usize {
        self.completed + self.failed + self.rejected
    }

    fn of(&mut self, status: &Status) -> &mut usize {
        match status {
            Status::Completed => &mut self.completed,
            Status::Failed => &mut self.failed,
            Status::Rejected => &mut self.rejected,
            _ => &mut self.running,
        }
    }
}
