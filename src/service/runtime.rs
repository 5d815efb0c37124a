//! The state that every service has, and the events that it handles for the service.

use super::refused_subjects::RefusedSubjects;
use super::wait_acknowledged;
use crate::clock::now;
use crate::keys::{KeyExpiry, TrustedKey};
use crate::log_throttle::LogThrottle;
use crate::metrics::{Address, MetricsServer, ServiceMetrics};
use crate::nats::{
    Client, ConnectError, ConnectionSettings, ConnectionState, NatsError, Nkey, PermissionViolation,
};
use crate::ordered::CollectOrdered;
use crate::protocol::{ErrorCode, Id, is_response};
use crate::sd_notify::{ServiceNotifier, notify_stopping};
use crate::state_dir::{StateDir, StoreError};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Kinds of log lines that any client of the server can cause.
const DROPPED: &str = "messages were dropped";
const REFUSED: &str = "refused a request";
const UNANSWERABLE: &str = "refused a request without a valid reply subject";
/// Maximum number of lines about requests of each kind in ten seconds: more than people and scripts cause.
const MAX_REFUSED_LINES: u32 = 20;

/// A listener or a builder failed to start.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The state directory cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The connection settings are invalid.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A subscription failed.
    #[error(transparent)]
    Nats(#[from] NatsError),
    /// A metric could not be registered.
    #[error("could not register the metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// What a service must react to.
#[derive(Debug)]
pub enum ServiceEvent {
    /// The service must stop.
    Stop,
    /// There is a new connection: undelivered final reports must be sent.
    Connected,
    /// Warnings have changed that operators should see at once.
    Warnings,
    /// The server has acknowledged the final reports with these ids.
    Delivered(Vec<Id>),
    /// Something else has changed that the status line shows.
    Status,
}

/// The connection of a service, its warnings, its status line and its metrics server.
pub struct ServiceRuntime {
    /// The connection.
    pub nats: Client,
    /// Warnings for operators.
    pub warnings: BTreeSet<String>,
    /// Limits the log lines that any client of the server can cause.
    pub log_throttle: LogThrottle,
    /// Tasks that deliver final reports, which return the delivered ids, and other tasks that publish replies.
    pub deliveries: JoinSet<Vec<Id>>,
    /// Number of requests without a valid reply subject.
    unanswerable: u64,
    server_urls: String,
    key: Option<String>,
    connection: watch::Receiver<ConnectionState>,
    /// The connection state that the service has handled.
    last: ConnectionState,
    /// How many connections malformed messages had ended when the current one was made.
    ended: u64,
    violations: broadcast::Receiver<PermissionViolation>,
    refused_subjects: RefusedSubjects,
    /// Those warnings that concern the current connection's server.
    server_warnings: Vec<String>,
    key_expiry: KeyExpiry,
    metrics_server: MetricsServer,
    notifier: ServiceNotifier,
    shutdown: CancellationToken,
}

impl ServiceRuntime {
    /// Connects once a server is available, and reconnects after each loss. The first warnings are those of the
    /// configuration and of the state directory.
    pub async fn connect(
        settings: &ConnectionSettings,
        trusted_keys: &[TrustedKey],
        warnings: &[String],
        dir: &StateDir,
        shutdown: CancellationToken,
    ) -> Result<Self, ServiceError> {
        // Boxed, so that the memory of the large future is freed once it completes.
        let nats = Box::pin(Client::connect_persistent(settings)).await?;
        Ok(Self {
            warnings: warnings.iter().chain(dir.warnings()).cloned().collect_set(),
            log_throttle: LogThrottle::default(),
            deliveries: JoinSet::new(),
            unanswerable: 0,
            server_urls: settings.display_servers(),
            key: settings.nkey.as_ref().map(|key| Nkey::public_key(key).to_owned()),
            connection: nats.connection_state(),
            last: ConnectionState::default(),
            ended: 0,
            // Created before the service subscribes, so that it receives violations of the subscriptions.
            violations: nats.permission_violations(),
            refused_subjects: RefusedSubjects::default(),
            server_warnings: Vec::new(),
            key_expiry: KeyExpiry::new(trusted_keys),
            metrics_server: MetricsServer::start(None, shutdown.clone()),
            notifier: ServiceNotifier::default(),
            shutdown,
            nats,
        })
    }

    /// Notifies the service manager that the service has subscribed, and serves its metrics if it has an address for them.
    pub fn ready(&mut self, metrics: Option<(Arc<ServiceMetrics>, Address)>) {
        self.metrics_server = MetricsServer::start(metrics, self.shutdown.clone());
        self.notifier.ready();
        self.key_expiry.update(&mut self.warnings, now());
    }

    /// Waits for the next event. Cancel safe.
    pub async fn next_event(&mut self) -> ServiceEvent {
        loop {
            tokio::select! {
                // A new connection comes before what the server refuses on it.
                biased;
                () = self.shutdown.cancelled() => return ServiceEvent::Stop,
                Some(delivered) = self.deliveries.join_next() => {
                    return ServiceEvent::Delivered(delivered.unwrap_or_default());
                }
                Ok(()) = self.connection.changed() => return self.on_connection(),
                () = self.log_throttle.due() => self.log_throttle.log_due(),
                () = self.metrics_server.problem_changed() => {
                    self.metrics_server.update_warnings(&mut self.warnings);
                    return ServiceEvent::Warnings;
                }
                () = self.key_expiry.changed() => {
                    self.key_expiry.update(&mut self.warnings, now());
                    return ServiceEvent::Warnings;
                }
                () = self.refused_subjects.due() => {
                    for subject in self.refused_subjects.update(&mut self.warnings) {
                        self.nats.subscribe_again(subject);
                    }
                    return ServiceEvent::Status;
                }
                Ok(violation) = self.violations.recv() => {
                    // Operators choose reply subjects, so a violation there is only logged.
                    if !(violation.is_publish && is_response(&violation.subject)) {
                        self.refused_subjects.add(violation, &mut self.warnings);
                    }
                    return ServiceEvent::Status;
                }
            }
        }
    }

    /// Whether the service is connected and has handled the connection.
    pub fn is_connected(&self) -> bool {
        self.last.up
    }

    /// Shows the connection, `parts` and all warnings in the status line of the service manager.
    pub fn update_status(&mut self, parts: impl IntoIterator<Item = String>) {
        let connection = self.connection.borrow().describe(&self.server_urls, self.key.as_deref());
        let parts = [connection].into_iter().chain(parts).chain(self.warnings.iter().cloned());
        self.notifier.set_status(&parts.collect::<Vec<_>>().join("; "));
    }

    /// Logs a refused request, with the id of its reply subject or the key that signed it.
    pub fn log_refused(&mut self, id: Option<&Id>, key: Option<&str>, code: &ErrorCode, reason: &str) {
        if self.log_throttle.allows(REFUSED, MAX_REFUSED_LINES) {
            tracing::info!(id = id.map(tracing::field::display), %code, key, reason, "{REFUSED}");
        }
    }

    /// Counts and logs a refused request that cannot be replied to.
    pub fn log_unanswerable(&mut self, code: &ErrorCode, reason: &str) {
        self.unanswerable += 1;
        let count = self.unanswerable;
        if self.log_throttle.allows(UNANSWERABLE, MAX_REFUSED_LINES) {
            tracing::warn!(%code, reason, count, "{UNANSWERABLE}");
        }
    }

    /// Notifies the service manager that the service stops, and logs how many log lines were left out.
    pub fn notify_stop(&mut self) {
        notify_stopping();
        self.log_throttle.log_all();
    }

    /// Waits until the server has acknowledged everything, then until the metrics server has stopped, each for at most
    /// `limit`. Final reports that are not delivered by then are sent after the next start.
    pub async fn finish(&mut self, limit: Duration) {
        let delivered = async {
            while self.deliveries.join_next().await.is_some() {}
            wait_acknowledged(&self.nats).await;
        };
        let _ = timeout(limit, delivered).await;
        self.metrics_server.finish(limit).await;
    }

    /// Handles a change of the connection.
    fn on_connection(&mut self) -> ServiceEvent {
        let now = self.connection.borrow_and_update().clone();
        let last = std::mem::replace(&mut self.last, now.clone());
        let is_new = now.up && now.connects != last.connects;
        if is_new {
            // A connection that replaces one which a malformed message ended is logged with that end, at most once a
            // minute.
            if now.ended == self.ended {
                self.nats.log_connected();
            }
            self.ended = now.ended;
            self.refused_subjects.clear(&mut self.warnings);
            for warning in self.server_warnings.drain(..) {
                self.warnings.remove(&warning);
            }
            self.nats.limit_warning().into_iter().for_each(|shortage| self.warn_of_server(shortage));
        }
        let is_new_reason = now.reason != last.reason;
        // A message that the server sends at once may arrive together with the connection.
        let message = now.reason.clone().filter(|_| now.up && (is_new || is_new_reason));
        let has_message = message.is_some();
        if let Some(message) = message {
            self.warn_of_server(message);
        } else if !now.up && !now.is_being_replaced() && is_new_reason {
            let reason = now.reason.as_deref().unwrap_or("connecting");
            tracing::warn!(attempt = now.attempts, reason, "not connected");
        }
        let is_lossless = (now.dropped, now.too_large) == (last.dropped, last.too_large);
        if !is_lossless && self.log_throttle.allows(DROPPED, 1) {
            tracing::warn!(dropped = now.dropped, too_large = now.too_large, "{DROPPED}");
        }
        match is_new {
            true => ServiceEvent::Connected,
            false if has_message => ServiceEvent::Warnings,
            false => ServiceEvent::Status,
        }
    }

    /// Adds a warning about the server of the current connection.
    fn warn_of_server(&mut self, warning: String) {
        tracing::warn!("{warning}");
        self.server_warnings.push(warning.clone());
        self.warnings.insert(warning);
    }
}
