//! The persistent metrics of a listener, and refused requests that are not persisted yet.

use super::ServiceMetrics;
use super::families::{DurationCounts, NO_LABELS, counter, gauge, histogram, increase};
use super::labels::{self, LabelValue, ResultLabels};
use super::persisted::{Persisted, lock, pairs};
use crate::protocol::{DeployReport, Id, Status};
use jiff::Timestamp;
use prometheus::proto::MetricFamily;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};

/// Counts each job once, even if the listener dies during the count.
#[derive(Debug)]
pub struct JobMetrics {
    /// Refused requests that are not included in the counts yet. Locked only briefly.
    refused: Mutex<BTreeMap<ResultLabels, u64>>,
    persisted: Arc<Persisted<JobCounts>>,
}

/// All counts, as stored in the file.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct JobCounts {
    #[serde(with = "pairs")]
    deployments: BTreeMap<ResultLabels, u64>,
    #[serde(with = "pairs")]
    durations: BTreeMap<(LabelValue, LabelValue), DurationCounts>,
    #[serde(with = "pairs")]
    phases: BTreeMap<LabelValue, DurationCounts>,
    rollbacks: u64,
    /// When a deployment last completed.
    last_success: Option<Timestamp>,
    /// Jobs that are counted here, but whose own records may not be marked as counted yet.
    counted: BTreeSet<Id>,
    /// Fields of a newer version: after a rollback the older listener reads this file and writes it.
    #[serde(flatten)]
    newer: Map<String, Value>,
}

impl JobMetrics {
    /// Opens the counts in a state directory and registers their metrics. An unusable file is quarantined, and a warning
    /// is returned.
    pub fn open(state_dir: &Path, service: &ServiceMetrics) -> prometheus::Result<(Self, Option<String>)> {
        let (persisted, warning) = Persisted::open(state_dir, JobCounts::with_every_series);
        persisted.register(service, JobCounts::families)?;
        Ok((Self { refused: Mutex::default(), persisted }, warning))
    }

    /// Counts jobs that have ended, except those whose id is still [retained](Self::retain_counted). Returns whether the
    /// counts were persisted.
    pub fn count<'a>(&self, jobs: impl IntoIterator<Item = (&'a Id, &'a DeployReport)>) -> bool {
        self.change(|counts| jobs.into_iter().for_each(|(id, report)| counts.count(id, report)))
    }

    /// Forgets the ids for which `open` returns false, because their own records are marked as counted.
    pub fn retain_counted(&self, open: impl Fn(&Id) -> bool) {
        // An id that is retained too long is harmless.
        self.persisted.change_unsaved(|counts| counts.counted.retain(open));
    }

    /// Counts a refused request in memory; [`JobMetrics::persist`] writes it to disk.
    pub fn refuse(&self, report: &DeployReport) {
        increase(lock(&self.refused).entry(labels::result_labels_of(report)).or_default(), 1);
    }

    /// Whether there are refused requests that are not persisted yet.
    pub fn has_refused(&self) -> bool {
        !lock(&self.refused).is_empty()
    }

    /// Persists the refused requests.
    pub fn persist(&self) {
        self.change(|_| ());
    }

    fn change(&self, change: impl FnOnce(&mut JobCounts)) -> bool {
        self.persisted.change(|counts| {
            for (result, times) in std::mem::take(&mut *lock(&self.refused)) {
                increase(counts.deployments.entry(result).or_default(), times);
            }
            change(counts);
        })
    }
}

impl JobCounts {
    /// Adds all possible series that are missing, with the value zero.
    fn with_every_series(mut self) -> Self {
        for result in labels::result_labels() {
            self.deployments.entry(result).or_default();
        }
        for job in labels::duration_labels() {
            self.durations.entry(job).or_default();
        }
        for phase in labels::phase_labels() {
            self.phases.entry(phase).or_default();
        }
        self
    }

    /// Counts a job, hold or release that has ended, unless its id was counted before. Holds and releases have no
    /// duration.
    fn count(&mut self, id: &Id, report: &DeployReport) {
        if !self.counted.insert(id.clone()) {
            return;
        }
        increase(self.deployments.entry(labels::result_labels_of(report)).or_default(), 1);
        if report.action.as_ref().is_some_and(|action| !action.creates_job()) {
            return;
        }
        self.durations
            .entry(labels::duration_labels_of(report))
            .or_default()
            .observe(report.elapsed_ms.unwrap_or(0));
        for (phase, millis) in labels::phase_durations(report) {
            self.phases.entry(phase).or_default().observe(millis);
        }
        increase(&mut self.rollbacks, u64::from(report.rolled_back == Some(true)));
        if report.status == Status::Completed && report.action.as_ref().is_some_and(labels::changes_system) {
            self.last_success = self.last_success.max(report.at);
        }
    }

    fn families(&self) -> Vec<MetricFamily> {
        let deployments =
            self.deployments.iter().map(|((status, action, error), count)| ([status, action, error], *count));
        let durations =
            self.durations.iter().map(|((action, success), durations)| ([action, success], durations));
        let phases = self.phases.iter().map(|(phase, durations)| ([phase], durations));
        let last_success = self.last_success.map_or(0, Timestamp::as_second);
        vec![
            counter(
                "homelab_deploy_deployments_total",
                "Requests by result; refused ones have the status rejected.",
                ["status", "action", "error_code"],
                deployments,
            ),
            histogram(
                "homelab_deploy_deployment_duration_seconds",
                "Duration of jobs, from acceptance to result.",
                ["action", "success"],
                durations,
            ),
            histogram(
                "homelab_deploy_phase_duration_seconds",
                "Duration of each phase of a job.",
                ["phase"],
                phases,
            ),
            counter(
                "homelab_deploy_rollbacks_total",
                "Failed deployments after which the host was rolled back to the previous system.",
                NO_LABELS,
                [(NO_LABELS, self.rollbacks)],
            ),
            gauge(
                "homelab_deploy_last_success_timestamp_seconds",
                "When a switch, boot, test or rollback last completed; 0 for never.",
                u64::try_from(last_success).unwrap_or(0),
            ),
        ]
    }
}
