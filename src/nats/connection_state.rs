//! The connection state, derived from the client library's events.

use async_nats::{ClientError, Event, ServerError};
use std::fmt;
use std::time::{Duration, Instant};

/// The start of the library's message if the server does not know the key.
const AUTHORIZATION_VIOLATION: &str = "authorization violation";

/// The reason while a connection that a malformed message ended is replaced, which takes less than a second.
const MALFORMED_REASON: &str = "a malformed message ended the connection";

/// Our message if the server does not know the key.
const KEY_REJECTED: &str = "the server refused the key";

/// The state of the connection to the server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConnectionState {
    /// Whether the client is connected.
    pub up: bool,
    /// The number of connections so far. A change indicates a reconnect even if `up` is unchanged.
    pub connects: u64,
    /// The number of attempts since the last connection.
    pub attempts: usize,
    /// The time of the next attempt, while disconnected.
    pub next_try: Option<Instant>,
    /// Why the client is disconnected, as a message.
    pub reason: Option<String>,
    /// The number of messages dropped because they were read too slowly.
    pub dropped: u64,
    /// The number of messages dropped unread because they exceed the maximum size.
    pub too_large: u64,
    /// The number of connections that a malformed message ended.
    pub ended: u64,
}

impl ConnectionState {
    /// Whether a connection that a malformed message ended is being replaced.
    pub fn is_being_replaced(&self) -> bool {
        !self.up && self.reason.as_deref() == Some(MALFORMED_REASON)
    }

    /// Records that the connection has ended.
    pub(super) fn record_end(&mut self) {
        self.up = false;
        self.ended += 1;
        self.reason = Some(MALFORMED_REASON.to_owned());
    }

    /// Whether the client is disconnected because the server does not know its key.
    pub fn is_key_rejected(&self) -> bool {
        !self.up && self.reason.as_deref() == Some(KEY_REJECTED)
    }

    /// Describes the state as a message, with the server, and with our public key if the server does not know it.
    pub fn describe(&self, server: &str, key: Option<&str>) -> String {
        if self.up {
            return format!("connected to {server}");
        }
        match (&self.reason, key) {
            (None, _) => format!("connecting to {server}"),
            (Some(reason), Some(key)) if self.is_key_rejected() => {
                format!("not connected to {server}: {reason} {key}; add it to the server's authorization")
            }
            (Some(reason), _) => format!("not connected to {server}: {reason}"),
        }
    }

    /// Returns an error message if the client is not connected.
    pub fn health(&self) -> Result<(), String> {
        let reason = || self.reason.as_deref().unwrap_or("connecting");
        if self.up { Ok(()) } else { Err(format!("not connected to the server: {}", reason())) }
    }

    /// Applies an event; returns the permission violation if it is one.
    pub(super) fn apply(&mut self, event: &Event) -> Option<PermissionViolation> {
        match event {
            Event::Connected => {
                let (connects, dropped) = (self.connects + 1, self.dropped);
                let (too_large, ended) = (self.too_large, self.ended);
                *self = Self { up: true, connects, dropped, too_large, ended, ..Self::default() };
            }
            Event::Disconnected => {
                self.up = false;
                self.reason = Some("the connection was lost".to_owned());
            }
            Event::SlowConsumer(_) => self.dropped += 1,
            Event::ServerError(ServerError::Other(text)) => match PermissionViolation::parse(text) {
                Some(violation) => return Some(violation),
                None => self.reason = Some(server_message(text)),
            },
            Event::ServerError(ServerError::AuthorizationViolation) => {
                self.reason = Some(KEY_REJECTED.to_owned());
            }
            Event::ClientError(ClientError::Other(text)) if !self.up => {
                let reason = self.reason.is_none() || text == AUTHORIZATION_VIOLATION;
                self.record_failure(reason.then(|| text.clone()));
            }
            _ => {}
        }
        None
    }

    /// Records why the last attempt failed, if known. The library reports a rejected key in more than one way.
    pub(super) fn record_failure(&mut self, reason: Option<String>) {
        if let Some(reason) = reason {
            let refused = reason.starts_with(AUTHORIZATION_VIOLATION);
            let reason = if refused { KEY_REJECTED.to_owned() } else { reason };
            self.reason = Some(limit_advice(&reason).unwrap_or(reason));
        }
    }

    /// Records that the next attempt will be made after `delay`.
    pub(super) fn record_retry(&mut self, attempts: usize, delay: Duration) {
        self.attempts = attempts;
        self.next_try = Some(Instant::now() + delay);
    }
}

/// A message for a server error that is not about a subject.
fn server_message(text: &str) -> String {
    limit_advice(text).unwrap_or_else(|| format!("server error: {text}"))
}

/// A message with advice, if the error is that a limit of the server is too low.
pub(super) fn limit_advice(text: &str) -> Option<String> {
    let limits = [
        ("maximum subscriptions exceeded", "max_subscriptions"),
        ("maximum connections exceeded", "max_connections"),
        ("maximum account active connections exceeded", "the connections of the account"),
    ];
    let lower = text.to_ascii_lowercase();
    let (message, option) = limits.iter().find(|(message, _)| lower.contains(message))?;
    Some(format!("server error: {message}; raise {option} in its configuration (see docs/nats.md)"))
}

/// A subject that our key has no permission for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PermissionViolation {
    /// Whether publishing was refused; otherwise subscribing.
    pub is_publish: bool,
    /// The subject that was refused.
    pub subject: String,
}

impl PermissionViolation {
    /// Parses the server's message `Permissions Violation for Publish to "deploy.prod.x"`.
    fn parse(text: &str) -> Option<Self> {
        let lower = text.to_ascii_lowercase();
        let rest = lower.strip_prefix("permissions violation for ")?;
        let subject = text.split('"').nth(1)?.to_owned();
        Some(Self { is_publish: rest.starts_with("publish"), subject })
    }
}

impl fmt::Display for PermissionViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.is_publish { "publish" } else { "subscribe" };
        write!(f, "the server refused {}: this key has no permission to {what} there", self.subject)
    }
}
