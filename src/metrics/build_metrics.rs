//! The persistent metrics of a builder.

use super::ServiceMetrics;
use super::families::{DurationCounts, counter, histogram, increase};
use super::persisted::{Persisted, pairs};
use crate::protocol::{Id, Name};
use prometheus::proto::MetricFamily;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// The labels of a host's build.
const LABELS: [&str; 3] = ["repo", "host", "status"];
/// Their values.
type BuildLabels = (String, String, String);

/// The result of one host's build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltHost {
    /// Name of the host.
    pub host: String,
    /// `completed` or `failed`.
    pub status: &'static str,
    /// Duration in milliseconds.
    pub elapsed_ms: u64,
}

/// Counts each build once, even if the builder dies during the count.
#[derive(Debug)]
pub struct BuildMetrics(Arc<Persisted<BuildCounts>>);

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct BuildCounts {
    #[serde(with = "pairs")]
    builds: BTreeMap<BuildLabels, u64>,
    #[serde(with = "pairs")]
    durations: BTreeMap<BuildLabels, DurationCounts>,
    /// Builds that are counted here, but whose own records may not be final yet.
    counted: BTreeSet<Id>,
}

impl BuildMetrics {
    /// Opens the counts in a state directory and registers their metrics. An unusable file is quarantined, and a warning
    /// is returned.
    pub fn open(state_dir: &Path, service: &ServiceMetrics) -> prometheus::Result<(Self, Option<String>)> {
        let (persisted, warning) = Persisted::open(state_dir, |counts| counts);
        persisted.register(service, BuildCounts::families)?;
        Ok((Self(persisted), warning))
    }

    /// Counts the hosts of a build that has ended, unless its id is still [retained](Self::retain_counted).
    pub fn count(&self, id: &Id, repo: &Name, hosts: &[BuiltHost]) {
        self.0.change(|counts| {
            if !counts.counted.insert(id.clone()) {
                return;
            }
            for host in hosts {
                let labels = (repo.to_string(), host.host.clone(), host.status.to_owned());
                increase(counts.builds.entry(labels.clone()).or_default(), 1);
                counts.durations.entry(labels).or_default().observe(host.elapsed_ms);
            }
        });
    }

    /// Forgets the ids for which `open` returns false, because their own records are final.
    pub fn retain_counted(&self, open: impl Fn(&Id) -> bool) {
        // An id that is retained too long is harmless.
        self.0.change_unsaved(|counts| counts.counted.retain(open));
    }
}

impl BuildCounts {
    fn families(&self) -> Vec<MetricFamily> {
        let builds = self.builds.iter().map(|((repo, host, status), count)| ([repo, host, status], *count));
        let durations =
            self.durations.iter().map(|((repo, host, status), durations)| ([repo, host, status], durations));
        vec![
            counter("homelab_deploy_builds_total", "Builds of hosts by result.", LABELS, builds),
            histogram(
                "homelab_deploy_build_duration_seconds",
                "Duration of the builds of hosts.",
                LABELS,
                durations,
            ),
        ]
    }
}
