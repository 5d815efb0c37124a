//! The client: a connection that many tasks share, and what is sent over it while the connection may be replaced.

use super::backlog::Backlog;
use super::connect::connect_error;
use super::ping::Pinger;
use super::supervisor::{Connector, SupervisedClient};
use super::{
    ConnectError, ConnectionSettings, ConnectionState, NatsError, Nkey, PermissionViolation, Subscription,
};
use crate::protocol::{KEY_HEADER, MAX_ENCODED, MAX_MESSAGE, Name, Purpose, SIGNATURE_HEADER, signed_bytes};
use async_nats::HeaderMap;
use async_nats::client::PublishErrorKind;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, timeout};

/// How long the log line about a new connection waits for the server.
const LOG_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait for a connection that is being replaced. There is no wait for an unreachable server.
const REPLACE_TIMEOUT: Duration = Duration::from_secs(1);
/// The number of attempts to send a message, because the connection may end during each.
const ATTEMPTS: usize = 3;

/// A connection to the NATS server that many tasks can share.
#[derive(Clone)]
pub struct Client {
    supervised: Arc<SupervisedClient>,
    state: watch::Receiver<ConnectionState>,
    /// Counts dropped messages.
    state_sender: Arc<watch::Sender<ConnectionState>>,
    violations: broadcast::Sender<PermissionViolation>,
    pinger: Arc<Pinger>,
    /// The settings of the connection.
    settings: Arc<ConnectionSettings>,
}

impl Client {
    /// Connects, or fails immediately with the reason.
    pub async fn connect(settings: &ConnectionSettings) -> Result<Self, ConnectError> {
        Self::open(settings, false).await
    }

    /// Connects as soon as a server can be reached, and reconnects forever; [`Client::connection_state`] has the
    /// current state.
    pub async fn connect_persistent(settings: &ConnectionSettings) -> Result<Self, ConnectError> {
        Self::open(settings, true).await
    }

    async fn open(settings: &ConnectionSettings, persistent: bool) -> Result<Self, ConnectError> {
        let (state_sender, state) = watch::channel(ConnectionState::default());
        let (violations, _) = broadcast::channel(64);
        let settings = Arc::new(settings.clone());
        let state_sender = Arc::new(state_sender);
        let connector = Connector {
            settings: settings.clone(),
            state: state_sender.clone(),
            violations: violations.clone(),
            log_throttle: Arc::default(),
        };
        let (client, gate) =
            connector.connect(persistent).await.map_err(|error| connect_error(&settings, &error))?;
        let pinger = Arc::new(Pinger::new(settings.ping_subject.clone()));
        let supervised = SupervisedClient::start(connector, client, gate);
        let nats = Self { supervised, state, state_sender, violations, pinger, settings };
        if !persistent {
            // The connected event arrives immediately after the connection is made.
            let _ = nats.connection_state().wait_for(|state| state.up).await;
        }
        Ok(nats)
    }

    /// Opens another connection with the same settings, like [`Client::connect`].
    pub async fn connect_another(&self) -> Result<Self, ConnectError> {
        Self::connect(&self.settings).await
    }

    /// The connection state, and all changes to it.
    pub fn connection_state(&self) -> watch::Receiver<ConnectionState> {
        self.state.clone()
    }

    /// All permission violations from now on.
    pub fn permission_violations(&self) -> broadcast::Receiver<PermissionViolation> {
        self.violations.subscribe()
    }

    /// Publishes a message. While disconnected, this fails instead of queueing the message, because a late message must
    /// not take effect.
    ///
    /// If the server refuses the subject, the violation arrives later through [`Client::permission_violations`].
    pub async fn publish(&self, subject: &str, payload: Vec<u8>) -> Result<(), NatsError> {
        self.send(subject, None, HeaderMap::new(), Bytes::from(payload)).await
    }

    /// Publishes a message with an optional reply subject, signed with the key of this connection if it has one. If we
    /// subscribe to the reply subject and no client receives the message, the server replies "no responders"
    /// immediately.
    pub async fn publish_signed(
        &self,
        purpose: Purpose,
        subject: &str,
        reply: Option<&str>,
        payload: Vec<u8>,
    ) -> Result<(), NatsError> {
        let headers = self.signature(self.settings.nkey.as_ref(), purpose, subject, &payload)?;
        self.send(subject, reply, headers, Bytes::from(payload)).await
    }

    /// Publishes a message that is signed with another key than that of this connection.
    pub async fn publish_signed_by(
        &self,
        nkey: &Nkey,
        purpose: Purpose,
        subject: &str,
        payload: Vec<u8>,
    ) -> Result<(), NatsError> {
        let headers = self.signature(Some(nkey), purpose, subject, &payload)?;
        self.send(subject, None, headers, Bytes::from(payload)).await
    }

    /// The maximum message size that the server accepts, without headers, in bytes; an assumption before the first
    /// connection.
    pub fn max_message_size(&self) -> usize {
        self.max_payload().saturating_sub(MAX_MESSAGE - MAX_ENCODED)
    }

    /// A warning if a limit of the server is too low.
    pub fn limit_warning(&self) -> Option<String> {
        Some(self.max_payload()).filter(|most| *most < MAX_MESSAGE).map(|most| {
            format!(
                "the server accepts messages of at most {most} bytes (max_payload), so logs and long reports are lost; set \
                 max_payload to {MAX_MESSAGE} in its configuration"
            )
        })
    }

    fn max_payload(&self) -> usize {
        self.supervised.client().max_payload()
    }

    /// The fleet's name, which is part of all signed data.
    pub fn fleet(&self) -> Option<&Name> {
        self.settings.fleet.as_ref()
    }

    /// The public key that signs our messages, if there is one.
    pub fn public_key(&self) -> Option<&str> {
        self.settings.nkey.as_ref().map(super::Nkey::public_key)
    }

    fn signature(
        &self,
        nkey: Option<&Nkey>,
        purpose: Purpose,
        subject: &str,
        payload: &[u8],
    ) -> Result<HeaderMap, NatsError> {
        let mut headers = HeaderMap::new();
        if let Some(nkey) = nkey {
            let signature = nkey.sign(&signed_bytes(purpose, self.fleet(), subject, payload));
            headers.insert(KEY_HEADER, nkey.public_key());
            headers.insert(SIGNATURE_HEADER, signature.map_err(|error| send_error(subject, &error))?);
        }
        Ok(headers)
    }

    /// Subscribes until the subscription is dropped, across reconnects and replaced connections. `read` parses a
    /// message from its subject and payload.
    pub async fn subscribe<T>(
        &self,
        subject: &str,
        read: fn(&str, &[u8]) -> T,
    ) -> Result<Subscription<T>, NatsError> {
        let subscribers = self.supervised.subscribe(subject).await?;
        let backlog = Backlog::new(subscribers, self.settings.capacity, self.state_sender.clone());
        Ok(Subscription::new(backlog, self.supervised.clone(), read))
    }

    /// Makes a subscription again that the server has refused. If it refuses again, another violation arrives through
    /// [`Client::permission_violations`].
    pub fn subscribe_again(&self, subject: String) {
        let supervised = self.supervised.clone();
        tokio::spawn(async move { supervised.subscribe_again(&subject).await });
    }

    /// Flushes all published messages to the operating system.
    pub async fn flush(&self) {
        // Flushing fails only if the connection's task has ended, and then there is nothing left to flush.
        let _ = self.supervised.client().flush().await;
    }

    /// Waits until the server has replied to a ping, and returns how long that took. By then the server has read
    /// everything that was published before, and its permission violations have arrived.
    ///
    /// On a busy connection the reply cannot be distinguished from other traffic. Three pings that are each followed by
    /// traffic count as answered.
    pub async fn ping(&self, within: Duration) -> Result<Duration, NatsError> {
        self.wait_connected().await?;
        let connects = self.state.borrow().connects;
        let is_connected = || self.state.borrow().connects == connects;
        let answered = timeout(within, self.pinger.round_trip(|| self.supervised.client(), is_connected))
            .await
            .map_err(|_| NatsError::PingTimeout { within })?;
        let state = self.state.borrow();
        if !state.up || state.connects != connects {
            return Err(NatsError::Disconnected { reason: state.reason.clone() });
        }
        answered
    }

    /// Waits until the server replies to a ping, even if a malformed message ends the connection and it is replaced.
    /// Earlier messages have arrived only if no connection was replaced.
    pub async fn ping_across_reconnects(&self, within: Duration) -> Result<Duration, NatsError> {
        let until = Instant::now() + within;
        loop {
            let ended = self.state.borrow().ended;
            match self.ping(until.saturating_duration_since(Instant::now())).await {
                Err(NatsError::Disconnected { .. })
                    if self.state.borrow().ended != ended && Instant::now() < until => {}
                other => return other,
            }
        }
    }

    /// Logs a new connection once the server has read all subscriptions, so that a message sent after this log line
    /// arrives.
    pub fn log_connected(&self) {
        let nats = self.clone();
        tokio::spawn(async move {
            // The next connection is logged separately.
            if !matches!(nats.ping(LOG_TIMEOUT).await, Err(NatsError::Disconnected { .. })) {
                tracing::info!(server = nats.settings.display_servers(), "connected");
            }
        });
    }

    /// Fails if disconnected, but waits for a connection that is being replaced.
    async fn wait_connected(&self) -> Result<(), NatsError> {
        let mut state = self.state.clone();
        if state.borrow().is_being_replaced() {
            // The state after the wait is checked below.
            let _ = timeout(REPLACE_TIMEOUT, state.wait_for(|state| !state.is_being_replaced())).await;
        }
        let state = state.borrow();
        if state.up { Ok(()) } else { Err(NatsError::Disconnected { reason: state.reason.clone() }) }
    }

    /// Sends a message through the current client, or through its successor if that client has just ended.
    async fn send(
        &self,
        subject: &str,
        reply: Option<&str>,
        headers: HeaderMap,
        payload: Bytes,
    ) -> Result<(), NatsError> {
        for _ in 0..ATTEMPTS {
            self.wait_connected().await?;
            let ended = self.state.borrow().ended;
            let (client, to) = (self.supervised.client(), subject.to_owned());
            let (headers, payload) = (headers.clone(), payload.clone());
            let sent = match reply.map(ToOwned::to_owned) {
                None if headers.is_empty() => client.publish(to, payload).await,
                None => client.publish_with_headers(to, headers, payload).await,
                Some(reply) => client.publish_with_reply_and_headers(to, reply, headers, payload).await,
            };
            match sent {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == PublishErrorKind::Send => {
                    let mut state = self.state.clone();
                    let _ = timeout(REPLACE_TIMEOUT, state.wait_for(|state| state.ended != ended)).await;
                }
                Err(error) => return Err(send_error(subject, &error)),
            }
        }
        let reason = self.state.borrow().reason.clone();
        Err(NatsError::Disconnected {
            reason: reason.or_else(|| Some("the connection was closed".to_owned())),
        })
    }
}

fn send_error(subject: &str, error: &dyn std::error::Error) -> NatsError {
    NatsError::Send { subject: subject.to_owned(), reason: error.to_string() }
}
