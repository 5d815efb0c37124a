//! What becomes of a job whose listener went away before its verdict: a pure decision.

use super::Record;
use crate::protocol::Action;
use jiff::Timestamp;

/// The decision about one unfinished job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resume {
    /// Nothing was changed yet and there is time: do it again; nix goes on by itself where it was.
    Again,
    /// It was handed over on this boot: follow whoever owns it, or start the recovery.
    Follow,
    /// It was to reboot the host, and has.
    Rebooted,
    /// Its rollback was to reboot the host, which has happened.
    RolledBack,
    /// Nobody can tell any more how it would have ended.
    Interrupted,
}

impl Record {
    /// What to do about this job at `now`, on the boot `boot_id`.
    pub fn resume(&self, now: Timestamp, boot_id: Option<&str>) -> Resume {
        let then = self.old.as_ref().and_then(|old| old.boot_id.as_deref());
        if self.orders.is_none() {
            return if now < self.deadline { Resume::Again } else { Resume::Interrupted };
        }
        if then == boot_id {
            return Resume::Follow;
        }
        match self.request.action {
            Action::Reboot => Resume::Rebooted,
            _ if self.rebooting => Resume::RolledBack,
            _ => Resume::Interrupted,
        }
    }
}
