//! What a service serves: its metrics, and whether it can work.

use super::families::{FnCollector, NO_LABELS, counter, gauge};
use super::persisted::lock;
use crate::nats::ConnectionState;
use crate::state_dir::StateDir;
use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{IntGauge, Opts, Registry, TextEncoder};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How long the result of the check of the state directory is cached: many concurrent clients cause at most one check
/// per second.
const MAX_CHECK_AGE: Duration = Duration::from_secs(1);

/// The registered metrics and the health of a service.
#[derive(Debug)]
pub struct ServiceMetrics {
    registry: Registry,
    connection: watch::Receiver<ConnectionState>,
    state_dir: Arc<StateDir>,
    /// When the state directory was last checked, and the result. Locked during a check.
    last_check: Mutex<Option<(Instant, Result<(), String>)>>,
}

impl ServiceMetrics {
    /// Registers the metrics of the connection. The service is healthy if its state directory can be written.
    pub fn new(
        connection: watch::Receiver<ConnectionState>,
        state_dir: Arc<StateDir>,
    ) -> prometheus::Result<Self> {
        let metrics = Self {
            registry: Registry::new(),
            connection: connection.clone(),
            state_dir,
            last_check: Mutex::default(),
        };
        metrics.register(FnCollector::new(move || connection_families(&connection.borrow()))?)?;
        Ok(metrics)
    }

    /// Adds metrics. Collecting them may block on file access.
    pub fn register(&self, collector: impl Collector + 'static) -> prometheus::Result<()> {
        self.registry.register(Box::new(collector))
    }

    /// Adds a gauge that is always 1 and whose labels describe the service.
    pub fn register_info<const N: usize>(
        &self,
        name: &str,
        help: &str,
        labels: [(&str, &str); N],
    ) -> prometheus::Result<()> {
        let opts = Opts::new(name, help);
        let info = labels.iter().fold(opts, |opts, (label, value)| opts.const_label(*label, *value));
        let info = IntGauge::with_opts(info)?;
        info.set(1);
        self.register(info)
    }

    /// The page in the text format.
    pub(super) fn page(&self) -> prometheus::Result<String> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }

    /// Whether the service can work, or the reason why not. May block on file access.
    pub(super) fn health(&self) -> Result<(), String> {
        self.connection.borrow().health()?;
        let mut last_check = lock(&self.last_check);
        if let Some((at, result)) = &*last_check
            && at.elapsed() < MAX_CHECK_AGE
        {
            return result.clone();
        }
        let result = self.state_dir.check_writable().map_err(|error| error.to_string());
        *last_check = Some((Instant::now(), result.clone()));
        result
    }
}

fn connection_families(connection: &ConnectionState) -> Vec<MetricFamily> {
    vec![
        gauge(
            "homelab_deploy_nats_connected",
            "1 while connected to the NATS server, else 0.",
            u64::from(connection.up),
        ),
        counter(
            "homelab_deploy_connections_ended_total",
            "Connections that a malformed message ended, since the start.",
            NO_LABELS,
            [(NO_LABELS, connection.ended)],
        ),
        counter(
            "homelab_deploy_messages_dropped_total",
            "Messages that were dropped unread since the service started.",
            ["reason"],
            [(["queue_full"], connection.dropped), (["too_large"], connection.too_large)],
        ),
    ]
}
