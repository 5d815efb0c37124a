//! Records the results of jobs, before they are delivered.

use super::history;
use super::metrics::ListenerMetrics;
use crate::blocking::spawn_in_span;
use crate::jobs::{DeployedBranches, History, JobRecord};
use std::path::PathBuf;
use std::sync::Arc;

/// The files that the results of jobs are recorded in, besides the records of the jobs.
#[derive(Clone)]
pub(super) struct ResultRecorder {
    pub(super) state_dir: PathBuf,
    pub(super) history: Arc<History>,
    pub(super) metrics: Option<Arc<ListenerMetrics>>,
}

impl ResultRecorder {
    /// Records the deployed commit, adds the job to the history and counts it. If one of them fails, the next start
    /// catches up.
    pub(super) async fn record(&self, mut record: JobRecord) -> JobRecord {
        let (recorder, mut ended) = (self.clone(), record.clone());
        let is_counted = spawn_in_span(move || {
            if let Err(error) = DeployedBranches::record_job(&recorder.state_dir, &ended) {
                tracing::error!(%error, "failed to record the deployed commit");
            }
            history::record_job(&recorder.history, &ended);
            if let Some(metrics) = &recorder.metrics {
                metrics.count(&mut ended);
            }
            ended.counted
        });
        record.counted = is_counted.await.unwrap_or(record.counted);
        record
    }
}
