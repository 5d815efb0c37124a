//! The numbers that survive restarts.

use super::Page;
use super::histogram::Histogram;
use super::series::{self, Ending, Word};
use crate::protocol::{DeployReport, Id, Status};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// All that is counted, as it is kept.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Counts {
    #[serde(with = "pairs")]
    deployments: BTreeMap<Ending, u64>,
    #[serde(with = "pairs")]
    durations: BTreeMap<(Word, Word), Histogram>,
    #[serde(with = "pairs")]
    phases: BTreeMap<Word, Histogram>,
    rollbacks: u64,
    /// When a deployment last completed.
    last_success: Option<Timestamp>,
    /// Jobs that are counted here, while their own records may not say so yet.
    counted: BTreeSet<Id>,
    /// What a newer version keeps here: after a rollback the older listener reads this file, and writes it.
    #[serde(flatten)]
    newer: Map<String, Value>,
}

impl Counts {
    /// Makes every series that can come about, at zero where nothing was counted.
    pub(super) fn with_every_series(mut self) -> Self {
        for ending in series::endings() {
            self.deployments.entry(ending).or_default();
        }
        for timed in series::timed() {
            self.durations.entry(timed).or_default();
        }
        for phase in series::phases() {
            self.phases.entry(phase).or_default();
        }
        self
    }

    /// Counts a job that has ended, or a hold or release, which take no time; unless it was counted before.
    pub(super) fn count(&mut self, id: &Id, report: &DeployReport) {
        if !self.counted.insert(id.clone()) {
            return;
        }
        self.end(series::of(report), 1);
        if report.action.as_ref().is_some_and(|action| !action.makes_job()) {
            return;
        }
        self.durations.entry(series::timed_of(report)).or_default().observe(report.elapsed_ms.unwrap_or(0));
        for (phase, millis) in series::phases_of(report) {
            self.phases.entry(phase).or_default().observe(millis);
        }
        self.rollbacks += u64::from(report.rolled_back == Some(true));
        if report.status == Status::Completed && report.action.as_ref().is_some_and(series::changes) {
            self.last_success = self.last_success.max(report.at);
        }
    }

    /// Counts requests that ended so and were no jobs.
    pub(super) fn end(&mut self, ending: Ending, times: u64) {
        *self.deployments.entry(ending).or_default() += times;
    }

    /// Forgets the ids of jobs, other than these, whose records say by themselves that they are counted.
    pub(super) fn keep_ids(&mut self, keep: impl Fn(&Id) -> bool) {
        self.counted.retain(keep);
    }

    /// Writes everything to a page.
    pub(super) fn write(&self, page: &mut Page) {
        let name = "homelab_deploy_deployments_total";
        page.metric(name, "counter", "Requests by how they ended; a refused one is rejected.");
        for ((status, action, error), count) in &self.deployments {
            page.sample(name, &[("status", status), ("action", action), ("error_code", error)], count);
        }
        let name = "homelab_deploy_deployment_duration_seconds";
        page.metric(name, "histogram", "How long jobs took, from being accepted to their verdict.");
        for ((action, success), histogram) in &self.durations {
            histogram.write(page, name, &[("action", action), ("success", success)]);
        }
        let name = "homelab_deploy_phase_duration_seconds";
        page.metric(name, "histogram", "How long each phase of a job took.");
        for (phase, histogram) in &self.phases {
            histogram.write(page, name, &[("phase", phase)]);
        }
        let name = "homelab_deploy_rollbacks_total";
        page.metric(
            name,
            "counter",
            "Failed deployments after which the host was rolled back to the previous system.",
        );
        page.sample(name, &[], self.rollbacks);
        let last_success = self.last_success.map_or(0, Timestamp::as_second);
        page.gauge(
            "homelab_deploy_last_success_timestamp_seconds",
            "When a switch, boot, test or rollback last completed; 0 for never.",
            last_success,
        );
    }
}

/// Maps as lists of pairs, for JSON has only texts as keys.
pub(super) mod pairs {
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
        Ok(Vec::<(K, V)>::deserialize(from)?.into_iter().collect())
    }
}
