//! Counts that are stored in a file.

use super::ServiceMetrics;
use super::families::FnCollector;
use crate::atomic_file;
use prometheus::proto::MetricFamily;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Counts that are persisted in a file.
///
/// The metrics page shows only counts that are written to disk, so that a counter never decreases after a crash. If the
/// write fails, it shows the counts in memory.
#[derive(Debug)]
pub(super) struct Persisted<C> {
    file: PathBuf,
    /// Locked while the file is written.
    counts: Mutex<C>,
    published: Mutex<Arc<C>>,
}

impl<C: Clone + Default + Serialize + DeserializeOwned + Send + Sync + 'static> Persisted<C> {
    /// Opens the counts in a state directory and completes them with `prepare`. An unusable file is quarantined, and a
    /// warning is logged and returned.
    pub(super) fn open(state_dir: &Path, prepare: impl FnOnce(C) -> C) -> (Arc<Self>, Option<String>) {
        let file = state_dir.join("metrics.json");
        let parsed = atomic_file::read(&file).and_then(|bytes| Ok(serde_json::from_slice(&bytes)?));
        let (counts, warning) = match parsed {
            Ok(counts) => (counts, None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => (C::default(), None),
            Err(error) if is_damage(&error) => (C::default(), Some(quarantine(&file, &error))),
            Err(error) => {
                let what =
                    format!("could not read {}: {error}; the metrics restart from zero", file.display());
                (C::default(), Some(what))
            }
        };
        if let Some(warning) = &warning {
            tracing::warn!("{warning}");
        }
        let counts = prepare(counts);
        let published = Mutex::new(Arc::new(counts.clone()));
        (Arc::new(Self { file, counts: Mutex::new(counts), published }), warning)
    }

    /// Changes the counts and writes the file. Returns whether it was written.
    pub(super) fn change(&self, change: impl FnOnce(&mut C)) -> bool {
        let mut counts = lock(&self.counts);
        change(&mut counts);
        let written = serde_json::to_vec(&*counts)
            .map_err(io::Error::from)
            .and_then(|json| atomic_file::write(&self.file, &json).map_err(|error| error.source));
        if let Err(error) = &written {
            tracing::warn!(file = %self.file.display(), %error, "failed to write the metrics");
        }
        *lock(&self.published) = Arc::new(counts.clone());
        written.is_ok()
    }

    /// Changes counts that the page does not show; the next change writes them.
    pub(super) fn change_unsaved(&self, change: impl FnOnce(&mut C)) {
        change(&mut lock(&self.counts));
    }

    /// Registers the metrics that `families` makes from the published counts.
    pub(super) fn register(
        self: &Arc<Self>,
        service: &ServiceMetrics,
        families: fn(&C) -> Vec<MetricFamily>,
    ) -> prometheus::Result<()> {
        let persisted = self.clone();
        service.register(FnCollector::new(move || {
            let published = lock(&persisted.published).clone();
            families(&published)
        })?)
    }
}

/// Whether the file itself is wrong, so that it would fail again. An error of JSON is one of the data or of its end.
fn is_damage(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, IsADirectory, UnexpectedEof};
    matches!(error.kind(), InvalidData | IsADirectory | UnexpectedEof)
}

fn quarantine(file: &Path, error: &io::Error) -> String {
    let moved = atomic_file::quarantine_described(file);
    format!("the metrics in {} are damaged ({error}) and restart from zero; {moved}", file.display())
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Serializes maps as lists of pairs, because JSON allows only strings as keys.
pub(super) mod pairs {
    use crate::ordered::CollectOrdered;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::collections::BTreeMap;

    pub(in crate::metrics) fn serialize<K: Serialize, V: Serialize, S: Serializer>(
        map: &BTreeMap<K, V>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(map)
    }

    pub(in crate::metrics) fn deserialize<
        'de,
        K: Deserialize<'de> + Ord,
        V: Deserialize<'de>,
        D: Deserializer<'de>,
    >(
        from: D,
    ) -> Result<BTreeMap<K, V>, D::Error> {
        Ok(Vec::<(K, V)>::deserialize(from)?.into_iter().collect_map())
    }
}
