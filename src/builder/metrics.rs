//! What the builder measures.

use super::build::Built;
use super::order::Wanted;
use super::store::Store;
use crate::bus::Link;
use crate::metrics::{Builds, BuiltHost, Page, Recent, Source};
use crate::protocol::{BuildHost, Id, Name, PhaseState};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::watch;

/// The counts of the builder, and what else its page tells.
pub(super) struct Metrics {
    builds: Builds,
    store: Arc<Store>,
    link: watch::Receiver<Link>,
    /// Whether the state directory can be written.
    writable: Recent<Result<(), String>>,
}

impl Metrics {
    /// Reads what was counted before. Where that cannot be used it is told.
    pub(super) fn open(store: Arc<Store>, link: watch::Receiver<Link>) -> (Self, Option<String>) {
        let (builds, warning) = Builds::open(store.path());
        if let Some(warning) = &warning {
            tracing::warn!("{warning}");
        }
        (Self { builds, store, link, writable: Recent::default() }, warning)
    }

    /// Counts a build that has ended, by the id of whose it is.
    pub(super) fn count(&self, id: &Id, repo: &Name, wanted: &Wanted, (stage, missing): &Built) {
        let host = |host: &BuildHost| host_of(host, missing);
        let mut hosts: Vec<_> = stage.hosts.iter().filter_map(host).collect();
        if stage.hosts.is_empty() {
            hosts.push(BuiltHost { host: wanted.target.clone(), status: "failed", elapsed_ms: 0 });
        }
        self.builds.count(id, repo, &hosts);
    }

    /// Forgets the ids of all builds but those that are open: the records of the others say that they have ended.
    pub(super) fn noted(&self, open: impl Fn(&Id) -> bool) {
        self.builds.noted(open);
    }
}

/// What is counted of a host. One that the flake does not have makes no series: whoever asks could make any.
fn host_of(host: &BuildHost, missing: &BTreeSet<Name>) -> Option<BuiltHost> {
    let status = match host.state {
        PhaseState::Done => "completed",
        PhaseState::Failed => "failed",
        _ => return None,
    };
    let missing = missing.contains(&host.hostname);
    let name = if missing { "unknown".to_owned() } else { host.hostname.to_string() };
    Some(BuiltHost { host: name, status, elapsed_ms: host.elapsed_ms })
}

impl Source for Metrics {
    fn write(&self, page: &mut Page) {
        self.builds.write(page);
        let link = self.link.borrow().clone();
        page.connection(link.up, link.ended);
        page.dropped(link.dropped, link.too_large);
        let name = "homelab_deploy_builder_info";
        page.metric(name, "gauge", "The version of the builder; always 1.");
        page.sample(name, &[("version", env!("CARGO_PKG_VERSION"))], 1);
    }

    fn health(&self) -> Result<(), String> {
        self.link.borrow().health()?;
        self.writable.get(|| self.store.check_writable().map_err(|error| error.to_string()))
    }
}
