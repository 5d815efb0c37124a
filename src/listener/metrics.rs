//! The metrics of the listener and its health.

use super::ListenerConfig;
use crate::activation::Engine;
use crate::jobs::{JobRecord, JobStore, report_span};
use crate::metrics::{JobMetrics, ServiceMetrics};
use crate::protocol::Id;
use crate::service::ServiceRuntime;
use prometheus::{IntGauge, PullingGauge};
use std::collections::HashSet;
use std::sync::Arc;

/// The job counts of this host and its other metrics.
pub(super) struct ListenerMetrics {
    /// What the metrics server serves.
    pub(super) service: Arc<ServiceMetrics>,
    /// The persisted counts.
    pub(super) jobs: JobMetrics,
    in_progress: IntGauge,
    store: Arc<JobStore>,
}

impl ListenerMetrics {
    /// Reads the persisted counts and registers all metrics. If the counts cannot be used, adds a warning.
    pub(super) fn open(
        config: &ListenerConfig,
        engine: Arc<dyn Engine>,
        store: Arc<JobStore>,
        runtime: &mut ServiceRuntime,
    ) -> prometheus::Result<Arc<Self>> {
        let service = ServiceMetrics::new(runtime.nats.connection_state(), store.dir.clone())?;
        let (jobs, warning) = JobMetrics::open(store.dir.path(), &service)?;
        runtime.warnings.extend(warning);
        let in_progress =
            IntGauge::new("homelab_deploy_deployment_in_progress", "1 while a job runs, else 0.")?;
        service.register(in_progress.clone())?;
        service.register(PullingGauge::new(
            "homelab_deploy_reboot_needed",
            "1 if the running system needs a reboot, else 0.",
            Box::new(move || f64::from(u8::from(engine.facts().reboot_needed == Some(true)))),
        )?)?;
        service.register_info(
            "homelab_deploy_info",
            "The host and the version of its listener; always 1.",
            [
                ("hostname", config.hostname.as_str()),
                ("tier", config.tier.as_str()),
                ("role", config.role.as_ref().map_or("", |role| role.as_str())),
                ("version", env!("CARGO_PKG_VERSION")),
            ],
        )?;
        Ok(Arc::new(Self { service: Arc::new(service), jobs, in_progress, store }))
    }

    /// Sets whether a job runs.
    pub(super) fn set_in_progress(&self, running: bool) {
        self.in_progress.set(i64::from(running));
    }

    /// Counts a job that has ended. The counts are persisted with the job's id, then the record is marked as counted,
    /// then the id is forgotten: after a crash at any point the job is still counted once.
    pub(super) fn count(&self, record: &mut JobRecord) {
        let id = record.request.id.clone();
        if self.jobs.count([(&id, &record.report)]) && self.mark_counted(record) {
            self.jobs.retain_counted(|other| *other != id);
        }
    }

    /// Counts all jobs on disk that have ended but were not counted, because their listener died or had no metrics.
    pub(super) fn catch_up(&self, records: &mut [JobRecord]) {
        let open = |record: &JobRecord| record.is_final() && !record.counted;
        let jobs = records.iter().filter(|record| open(record));
        let counted = self.jobs.count(jobs.map(|record| (&record.request.id, &record.report)));
        for record in records.iter_mut().filter(|record| counted && open(record)) {
            let _entered = report_span(&record.report).entered();
            self.mark_counted(record);
        }
        let uncounted: HashSet<&Id> = records.iter().filter(|r| !r.counted).map(|r| &r.request.id).collect();
        self.jobs.retain_counted(|id| uncounted.contains(id));
    }

    fn mark_counted(&self, record: &mut JobRecord) -> bool {
        record.counted = true;
        let saved = self.store.save(record);
        if let Err(error) = &saved {
            record.counted = false;
            tracing::warn!(%error, "failed to record that a job was counted");
        }
        saved.is_ok()
    }
}
