//! The counts of one host and their file.

use super::Page;
use super::counts::Counts;
use super::kept::{Kept, lock};
use super::series::{self, Ending};
use crate::protocol::{DeployReport, Id};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

/// Counts each job once, however often its listener dies.
#[derive(Debug)]
pub struct Registry {
    /// Refusals that are not among the counts yet. Locked for moments only.
    refused: Mutex<BTreeMap<Ending, u64>>,
    kept: Kept<Counts>,
}

impl Registry {
    /// The registry in a state directory. Where what was kept cannot be used, it is put aside, and why is told.
    pub fn open(state_dir: &Path) -> (Self, Option<String>) {
        let (kept, warning) = Kept::open(state_dir, Counts::with_every_series);
        (Self { refused: Mutex::default(), kept }, warning)
    }

    /// Counts jobs that have ended, and gives whether that is kept. One that was counted and not [noted](Self::noted) is passed
    /// over.
    pub fn count<'a>(&self, jobs: impl IntoIterator<Item = (&'a Id, &'a DeployReport)>) -> bool {
        self.change(|counts| jobs.into_iter().for_each(|(id, report)| counts.count(id, report)))
    }

    /// Forgets the ids of all jobs but those for which `open` holds: their own records say now that they are counted.
    pub fn noted(&self, open: impl Fn(&Id) -> bool) {
        // Until it is kept an id too many does no harm.
        self.kept.change_later(|counts| counts.keep_ids(open));
    }

    /// Counts a refused request. At once in memory; [`Registry::keep`] keeps it.
    pub fn refuse(&self, report: &DeployReport) {
        *lock(&self.refused).entry(series::of(report)).or_default() += 1;
    }

    /// Whether there is something to keep.
    pub fn has_refused(&self) -> bool {
        !lock(&self.refused).is_empty()
    }

    /// Keeps what was refused.
    pub fn keep(&self) {
        self.change(|_| ());
    }

    /// Writes the counts to a page.
    pub fn write(&self, page: &mut Page) {
        self.kept.shown().write(page);
    }

    fn change(&self, change: impl FnOnce(&mut Counts)) -> bool {
        self.kept.change(|counts| {
            for (ending, times) in std::mem::take(&mut *lock(&self.refused)) {
                counts.end(ending, times);
            }
            change(counts);
        })
    }
}
