//! What this listener measures, and where that can be read.

use super::Config;
use crate::activation::Engine;
use crate::bus::Link;
use crate::jobs::{Record, Store};
use crate::metrics::{Page, Recent, Registry, Source};
use crate::protocol::{DeployReport, Id};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::watch;

/// The counts of this host, and what else its page tells.
pub(super) struct Metrics {
    registry: Registry,
    engine: Arc<dyn Engine>,
    store: Arc<Store>,
    link: watch::Receiver<Link>,
    /// Whether the state directory can be written.
    writable: Recent<Result<(), String>>,
    in_progress: AtomicBool,
    /// The labels of the host itself.
    info: [(&'static str, String); 4],
}

impl Metrics {
    /// Reads what was counted before. Where that cannot be used it is told.
    pub(super) fn open(
        config: &Config,
        engine: Arc<dyn Engine>,
        store: Arc<Store>,
        link: watch::Receiver<Link>,
    ) -> (Self, Option<String>) {
        let (registry, warning) = Registry::open(store.state_dir());
        if let Some(warning) = &warning {
            tracing::warn!("{warning}");
        }
        let info = [
            ("hostname", config.hostname.to_string()),
            ("tier", config.tier.to_string()),
            ("role", config.role.as_ref().map(ToString::to_string).unwrap_or_default()),
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ];
        (
            Self {
                registry,
                engine,
                store,
                link,
                writable: Recent::default(),
                in_progress: AtomicBool::new(false),
                info,
            },
            warning,
        )
    }

    /// Whether a job runs.
    pub(super) fn set_in_progress(&self, running: bool) {
        self.in_progress.store(running, Ordering::Relaxed);
    }

    /// Counts a refused request, to be kept soon.
    pub(super) fn refuse(&self, report: &DeployReport) {
        self.registry.refuse(report);
    }

    /// Whether refused requests are counted that are not kept yet.
    pub(super) fn has_refused(&self) -> bool {
        self.registry.has_refused()
    }

    /// Keeps the count of refused requests.
    pub(super) fn keep(&self) {
        self.registry.keep();
    }

    /// Counts a job that has ended. First the counts are kept, with its id, then its record says so, and then the id can
    /// be forgotten: whatever dies in between, it is counted once.
    pub(super) fn count(&self, record: &mut Record) {
        let id = record.request.id.clone();
        if self.registry.count([(&id, &record.report)]) && self.note(record) {
            self.registry.noted(|other| *other != id);
        }
    }

    /// Counts those of all jobs on disk that have ended and were not counted, since their listener died or measured nothing.
    pub(super) fn catch_up(&self, records: &mut [Record]) {
        let open = |record: &Record| record.is_final() && !record.counted;
        let jobs = records.iter().filter(|record| open(record));
        let counted = self.registry.count(jobs.map(|record| (&record.request.id, &record.report)));
        for record in records.iter_mut().filter(|record| counted && open(record)) {
            self.note(record);
        }
        let left: HashSet<&Id> = records.iter().filter(|r| !r.counted).map(|r| &r.request.id).collect();
        self.registry.noted(|id| left.contains(id));
    }

    fn note(&self, record: &mut Record) -> bool {
        record.counted = true;
        let noted = self.store.save(record);
        if let Err(error) = &noted {
            record.counted = false;
            tracing::warn!(id = %record.request.id, %error, "could not note that a job was counted");
        }
        noted.is_ok()
    }
}

impl Source for Metrics {
    fn write(&self, page: &mut Page) {
        self.registry.write(page);
        let in_progress = u8::from(self.in_progress.load(Ordering::Relaxed));
        page.gauge("homelab_deploy_deployment_in_progress", "1 while a job runs, else 0.", in_progress);
        let reboot = u8::from(self.engine.facts().reboot_needed == Some(true));
        page.gauge(
            "homelab_deploy_reboot_needed",
            "1 where the running system wants a reboot, else 0.",
            reboot,
        );
        let link = self.link.borrow().clone();
        page.connection(link.up, link.ended);
        page.dropped(link.dropped, link.too_large);
        let name = "homelab_deploy_info";
        page.metric(name, "gauge", "The host and the version of its listener; always 1.");
        let labels: Vec<_> = self.info.iter().map(|(label, value)| (*label, value.as_str())).collect();
        page.sample(name, &labels, 1);
    }

    fn health(&self) -> Result<(), String> {
        self.link.borrow().health()?;
        self.writable.get(|| self.store.check_writable().map_err(|error| error.to_string()))
    }
}
