//! The builder's metrics.

use super::build::FinishedBuild;
use super::queue::BuildKey;
use super::store::BuildStore;
use crate::metrics::{BuildMetrics, BuiltHost, ServiceMetrics};
use crate::protocol::{BuildHost, Id, Name, PhaseState};
use crate::service::ServiceRuntime;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The builder's counters and its other metrics.
pub(super) struct BuilderMetrics {
    /// What the metrics server serves.
    pub(super) service: Arc<ServiceMetrics>,
    builds: BuildMetrics,
}

impl BuilderMetrics {
    /// Loads the saved counters and registers all metrics. If the counters are unusable, adds a warning.
    pub(super) fn open(store: &BuildStore, runtime: &mut ServiceRuntime) -> prometheus::Result<Arc<Self>> {
        let service = ServiceMetrics::new(runtime.nats.connection_state(), store.dir.clone())?;
        let (builds, warning) = BuildMetrics::open(store.dir.path(), &service)?;
        runtime.warnings.extend(warning);
        service.register_info(
            "homelab_deploy_builder_info",
            "The version of the builder; always 1.",
            [("version", env!("CARGO_PKG_VERSION"))],
        )?;
        Ok(Arc::new(Self { service: Arc::new(service), builds }))
    }

    /// Counts a finished build under the id of its first job.
    pub(super) fn count(&self, id: &Id, repo: &Name, key: &BuildKey, (state, missing): &FinishedBuild) {
        let host = |host: &BuildHost| host_of(host, missing);
        let mut hosts: Vec<_> = state.hosts.iter().filter_map(host).collect();
        if state.hosts.is_empty() {
            hosts.push(BuiltHost { host: key.target.clone(), status: "failed", elapsed_ms: 0 });
        }
        self.builds.count(id, repo, &hosts);
    }

    /// Forgets the ids of all builds except the open ones. The records of the others already say that they have
    /// finished.
    pub(super) fn noted(&self, open: impl Fn(&Id) -> bool) {
        self.builds.retain_counted(open);
    }
}

/// The metrics entry of a host. A host that the flake does not have is counted as `unknown`: a requester could
/// otherwise create any number of series.
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
