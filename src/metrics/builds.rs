//! The counts of a builder and their file.

use super::Page;
use super::counts::pairs;
use super::histogram::Histogram;
use super::kept::Kept;
use crate::protocol::{Id, Name};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Repository, host and status.
type Series = (String, String, String);

/// How the build of one host ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltHost {
    /// The host.
    pub host: String,
    /// `completed` or `failed`.
    pub status: &'static str,
    /// How long it took, in milliseconds.
    pub elapsed_ms: u64,
}

/// Counts each build once, however often its builder dies.
#[derive(Debug)]
pub struct Builds(Kept<Counts>);

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Counts {
    #[serde(with = "pairs")]
    builds: BTreeMap<Series, u64>,
    #[serde(with = "pairs")]
    durations: BTreeMap<Series, Histogram>,
    /// Builds that are counted here, while their own records may not say so yet.
    counted: BTreeSet<Id>,
}

impl Builds {
    /// The counts in a state directory. Where what was kept cannot be used, it is put aside, and why is told.
    pub fn open(state_dir: &Path) -> (Self, Option<String>) {
        let (kept, warning) = Kept::open(state_dir, |counts| counts);
        (Self(kept), warning)
    }

    /// Counts the hosts of a build that has ended. One that was counted and not [noted](Self::noted) is passed over.
    pub fn count(&self, id: &Id, repo: &Name, hosts: &[BuiltHost]) {
        self.0.change(|counts| {
            if !counts.counted.insert(id.clone()) {
                return;
            }
            for host in hosts {
                let series = (repo.to_string(), host.host.clone(), host.status.to_owned());
                *counts.builds.entry(series.clone()).or_default() += 1;
                counts.durations.entry(series).or_default().observe(host.elapsed_ms);
            }
        });
    }

    /// Forgets the ids of all builds but those for which `open` holds: their own records say now that they have ended.
    pub fn noted(&self, open: impl Fn(&Id) -> bool) {
        // Until it is kept an id too many does no harm.
        self.0.change_later(|counts| counts.counted.retain(open));
    }

    /// Writes the counts to a page.
    pub fn write(&self, page: &mut Page) {
        let counts = self.0.shown();
        let name = "homelab_deploy_builds_total";
        page.metric(name, "counter", "Builds of hosts by how they ended.");
        for ((repo, host, status), count) in &counts.builds {
            page.sample(name, &[("repo", repo), ("host", host), ("status", status)], count);
        }
        let name = "homelab_deploy_build_duration_seconds";
        page.metric(name, "histogram", "How long the builds of hosts took.");
        for ((repo, host, status), histogram) in &counts.durations {
            histogram.write(page, name, &[("repo", repo), ("host", host), ("status", status)]);
        }
    }
}
