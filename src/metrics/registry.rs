//! The counts of one host and their file.

use super::Page;
use super::counts::Counts;
use super::series::{self, Ending};
use crate::durable;
use crate::protocol::{DeployReport, Id};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{fs, io};

/// Counts each job once, however often its listener dies.
///
/// A page shows only what is kept: what it has shown is never taken back, so that nobody sees a reset. Only where nothing
/// can be written it shows what it knows all the same.
#[derive(Debug)]
pub struct Registry {
    file: PathBuf,
    /// Refusals that are not among the counts yet. Locked for moments only.
    refused: Mutex<BTreeMap<Ending, u64>>,
    /// Locked while they are written down.
    counts: Mutex<Counts>,
    shown: Mutex<Arc<Counts>>,
}

impl Registry {
    /// The registry in a state directory. Where what was kept cannot be used, it is put aside, and why is told.
    pub fn open(state_dir: &Path) -> (Self, Option<String>) {
        let file = state_dir.join("metrics.json");
        let (counts, warning) = match fs::read(&file) {
            Ok(bytes) => match Counts::parse(&bytes) {
                Ok(counts) => (counts, None),
                Err(error) => (Counts::default(), Some(put_aside(&file, &error))),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => (Counts::default(), None),
            Err(error) => {
                let what = format!("could not read {}: {error}; the metrics begin anew", file.display());
                (Counts::default(), Some(what))
            }
        };
        let counts = counts.with_every_series();
        let shown = Mutex::new(Arc::new(counts.clone()));
        (Self { file, refused: Mutex::default(), counts: Mutex::new(counts), shown }, warning)
    }

    /// Counts jobs that have ended, and gives whether that is kept. One that was counted and not [noted](Self::noted) is passed
    /// over.
    pub fn count<'a>(&self, jobs: impl IntoIterator<Item = (&'a Id, &'a DeployReport)>) -> bool {
        self.change(|counts| jobs.into_iter().for_each(|(id, report)| counts.count(id, report)))
    }

    /// Forgets the ids of all jobs but those for which `open` holds: their own records say now that they are counted.
    pub fn noted(&self, open: impl Fn(&Id) -> bool) {
        // Kept with the next change. Until then an id too many does no harm.
        lock(&self.counts).keep_ids(open);
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
        let shown = lock(&self.shown).clone();
        shown.write(page);
    }

    fn change(&self, change: impl FnOnce(&mut Counts)) -> bool {
        let mut counts = lock(&self.counts);
        for (ending, times) in std::mem::take(&mut *lock(&self.refused)) {
            counts.end(ending, times);
        }
        change(&mut counts);
        let written = counts
            .encode()
            .map_err(io::Error::from)
            .and_then(|json| durable::write(&self.file, &json).map_err(|error| error.source));
        if let Err(error) = &written {
            tracing::warn!(file = %self.file.display(), %error, "the metrics could not be kept");
        }
        *lock(&self.shown) = Arc::new(counts.clone());
        written.is_ok()
    }
}

fn put_aside(file: &Path, error: &serde_json::Error) -> String {
    let aside = file.with_extension("damaged");
    let put = match fs::rename(file, &aside) {
        Ok(()) => format!("it lies in {}", aside.display()),
        Err(error) => format!("it could not be put aside: {error}"),
    };
    format!("the metrics in {} are damaged ({error}) and begin anew; {put}", file.display())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
