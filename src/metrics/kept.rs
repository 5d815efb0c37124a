//! Counts and their file.

use crate::durable;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{fs, io};

/// Counts that are kept in a file.
///
/// A page shows only what is kept: what it has shown is never taken back, so that nobody sees a reset. Only where nothing
/// can be written it shows what it knows all the same.
#[derive(Debug)]
pub(super) struct Kept<C> {
    file: PathBuf,
    /// Locked while they are written down.
    counts: Mutex<C>,
    shown: Mutex<Arc<C>>,
}

impl<C: Clone + Default + Serialize + DeserializeOwned> Kept<C> {
    /// The counts in a state directory, as `prepare` completes them. Where what was kept cannot be used, it is put aside, and
    /// why is told.
    pub(super) fn open(state_dir: &Path, prepare: impl FnOnce(C) -> C) -> (Self, Option<String>) {
        let file = state_dir.join("metrics.json");
        let (counts, warning) = match fs::read(&file) {
            Ok(bytes) => match serde_json::from_slice(&bytes) {
                Ok(counts) => (counts, None),
                Err(error) => (C::default(), Some(put_aside(&file, &error))),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => (C::default(), None),
            Err(error) => {
                let what = format!("could not read {}: {error}; the metrics begin anew", file.display());
                (C::default(), Some(what))
            }
        };
        let counts = prepare(counts);
        let shown = Mutex::new(Arc::new(counts.clone()));
        (Self { file, counts: Mutex::new(counts), shown }, warning)
    }

    /// Changes the counts and keeps them; gives whether they are kept.
    pub(super) fn change(&self, change: impl FnOnce(&mut C)) -> bool {
        let mut counts = lock(&self.counts);
        change(&mut counts);
        let written = serde_json::to_vec(&*counts)
            .map_err(io::Error::from)
            .and_then(|json| durable::write(&self.file, &json).map_err(|error| error.source));
        if let Err(error) = &written {
            tracing::warn!(file = %self.file.display(), %error, "the metrics could not be kept");
        }
        *lock(&self.shown) = Arc::new(counts.clone());
        written.is_ok()
    }

    /// Changes what no page shows; it is kept with the next change.
    pub(super) fn change_later(&self, change: impl FnOnce(&mut C)) {
        change(&mut lock(&self.counts));
    }

    /// What a page shows.
    pub(super) fn shown(&self) -> Arc<C> {
        lock(&self.shown).clone()
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

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
