//! Replaces the client when its connection's task has ended, and subscribes again.
//!
//! The client library panics in that task when a message has a malformed header, such as a lone CR in a value. The
//! panic drops everything that the task owns: the streams of all subscriptions end, publishing fails, and the library
//! does not reconnect. One sign is reliable and comes after all events have been handled: the event callback is
//! dropped.

use super::backoff::ReconnectBackoff;
use super::connect::client_options;
use super::connection_state::{ConnectionState, PermissionViolation};
use super::{ConnectionSettings, NatsError};
use crate::log_throttle::LogThrottle;
use async_nats::client::SubscribeErrorKind;
use async_nats::{Client, ConnectError, Subscriber};
use std::panic::{self, PanicHookInfo};
use std::sync::{Arc, Once, PoisonError, RwLock, Weak};
use tokio::sync::{Mutex, broadcast, mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

/// Creates clients with the same settings, which report to the same connection state.
#[derive(Clone)]
pub(super) struct Connector {
    pub(super) settings: Arc<ConnectionSettings>,
    pub(super) state: Arc<watch::Sender<ConnectionState>>,
    pub(super) violations: broadcast::Sender<PermissionViolation>,
    pub(super) log_throttle: Arc<std::sync::Mutex<LogThrottle>>,
}

/// Holds back the events of a client until everything is subscribed, and detects the end of its connection's task.
pub(super) struct EventGate(watch::Sender<bool>);

impl Connector {
    /// Creates a client. A persistent client waits for a server in the background.
    pub(super) async fn connect(&self, persistent: bool) -> Result<(Client, EventGate), ConnectError> {
        let (gate, opened) = watch::channel(false);
        let mut options = client_options(self, opened);
        if persistent {
            options = options.retry_on_initial_connect();
        }
        Ok((options.connect(self.settings.servers()).await?, EventGate(gate)))
    }
}

/// The current client, and the subscriptions that each successor must make.
pub(super) struct SupervisedClient {
    /// Shared, because a clone of the library's client copies many reference counts.
    client: RwLock<Arc<Client>>,
    subscriptions: Mutex<Vec<ActiveSubscription>>,
}

/// A subscription that has not been dropped.
struct ActiveSubscription {
    subject: String,
    successors: mpsc::UnboundedSender<Subscriber>,
}

impl SupervisedClient {
    /// Supervises a client until the returned value is dropped.
    pub(super) fn start(connector: Connector, client: Client, gate: EventGate) -> Arc<Self> {
        let supervised =
            Arc::new(Self { client: RwLock::new(Arc::new(client)), subscriptions: Mutex::default() });
        gate.0.send_replace(true);
        tokio::spawn(supervise(connector, Arc::downgrade(&supervised), gate));
        supervised
    }

    /// Returns the current client.
    pub(super) fn client(&self) -> Arc<Client> {
        self.client.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Subscribes on the current client and on every successor. Each subscriber arrives through the channel; when one
    /// ends, the next one follows.
    pub(super) async fn subscribe(
        &self,
        subject: &str,
    ) -> Result<mpsc::UnboundedReceiver<Subscriber>, NatsError> {
        let (successors, subscribers) = mpsc::unbounded_channel();
        // The lock is held while subscribing, so that `replace` cannot miss this subscription.
        let mut subscriptions = self.subscriptions.lock().await;
        match self.client().subscribe(subject.to_owned()).await {
            Ok(subscriber) => drop(successors.send(subscriber)),
            Err(error) if error.kind() == SubscribeErrorKind::Other => {}
            Err(error) => {
                let (subject, reason) = (subject.to_owned(), error.to_string());
                return Err(NatsError::Subscribe { subject, reason });
            }
        }
        subscriptions.retain(|other| !other.successors.is_closed());
        subscriptions.push(ActiveSubscription { subject: subject.to_owned(), successors });
        Ok(subscribers)
    }

    /// Makes a subscription again that the server has refused. It replaces the refused one.
    pub(super) async fn subscribe_again(&self, subject: &str) {
        let subscriptions = self.subscriptions.lock().await;
        for subscription in subscriptions.iter().filter(|subscription| subscription.subject == subject) {
            // If this client has ended, its successor subscribes.
            if let Ok(subscriber) = self.client().subscribe(subject.to_owned()).await {
                let _ = subscription.successors.send(subscriber);
            }
        }
    }

    /// Replaces the current client.
    async fn replace(&self, client: Client) {
        let mut subscriptions = self.subscriptions.lock().await;
        subscriptions.retain(|subscription| !subscription.successors.is_closed());
        for subscription in &*subscriptions {
            // This fails only if this client has ended too, and then its successor subscribes.
            if let Ok(subscriber) = client.subscribe(subscription.subject.clone()).await {
                let _ = subscription.successors.send(subscriber);
            }
        }
        *self.client.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(client);
    }
}

/// Creates a new client whenever one has ended, as long as the connection is used.
async fn supervise(connector: Connector, supervised: Weak<SupervisedClient>, mut gate: EventGate) {
    let mut backoff = ReconnectBackoff::new(Instant::now());
    loop {
        tokio::select! {
            () = gate.0.closed() => {}
            () = sleep_until(backoff.log_at()) => {
                backoff.log(None);
                continue;
            }
        }
        // The client ended because it is no longer used.
        if supervised.strong_count() == 0 {
            return;
        }
        connector.state.send_modify(ConnectionState::record_end);
        let pause = backoff.next_pause(Instant::now());
        backoff.log(take_reason().as_deref());
        sleep(pause).await;
        let connected = connector.connect(true).await;
        let Some(supervised) = supervised.upgrade() else { return };
        match connected {
            Ok((client, next)) => {
                supervised.replace(client).await;
                next.0.send_replace(true);
                gate = next;
            }
            // The error does not depend on the server, and the same settings worked before. The old gate is still
            // closed, so the loop retries.
            Err(error) => tracing::error!(%error, "failed to replace an ended connection"),
        }
    }
}

/// The message of the client library's last panic.
static LAST_PANIC: std::sync::Mutex<Option<String>> = std::sync::Mutex::new(None);

/// Installs a panic hook that hides panics of a connection's task. Other panics are printed as usual.
pub fn hide_connection_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let default_hook = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if is_connection_panic(info) {
                let reason = info.payload_as_str().map(ToOwned::to_owned);
                *LAST_PANIC.lock().unwrap_or_else(PoisonError::into_inner) = reason;
            } else {
                default_hook(info);
            }
        }));
    });
}

/// Whether a connection's task panicked, which [`Client`](super::Client) recovers from.
pub fn is_connection_panic(info: &PanicHookInfo<'_>) -> bool {
    // The path of a source file contains the crate name, independent of where it was compiled.
    let is_nats_client = info.location().is_some_and(|location| location.file().contains("async-nats"));
    is_nats_client && tokio::task::try_id().is_some()
}

/// Takes the reason why the last connection ended, if known.
fn take_reason() -> Option<String> {
    LAST_PANIC.lock().unwrap_or_else(PoisonError::into_inner).take()
}
