//! The state of the link, folded from the client library's events.

use async_nats::{ClientError, Event, ServerError};
use std::fmt;
use std::time::{Duration, Instant};

/// How the library begins to say that the server does not know the key.
const KEY_REFUSED: &str = "authorization violation";

/// Why the link is down when a malformed message has ended the connection, which is replaced within a second.
const ENDED: &str = "a malformed message ended the connection";

/// How we say it.
const SAID_REFUSED: &str = "the server refused the key";

/// How the link to the server stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Link {
    /// Whether we are connected.
    pub up: bool,
    /// How many times a connection has come about; a change tells of a reconnect even where `up` looks the same.
    pub connects: u64,
    /// Attempts since the last connection.
    pub attempts: usize,
    /// When the next attempt is made, while down.
    pub next_try: Option<Instant>,
    /// Why the link is down, in words.
    pub reason: Option<String>,
    /// How often messages were dropped because we read too slowly.
    pub dropped: u64,
    /// How many messages were dropped unread because they are larger than any of ours.
    pub too_large: u64,
    /// How often a malformed message ended the connection.
    pub ended: u64,
}

impl Link {
    /// Whether it is down because a malformed message ended the connection, and a new one is being made.
    pub fn is_replaced(&self) -> bool {
        !self.up && self.reason.as_deref() == Some(ENDED)
    }

    /// Notes that the connection has ended.
    pub(super) fn ended(&mut self) {
        self.up = false;
        self.ended += 1;
        self.reason = Some(ENDED.to_owned());
    }

    /// Whether it is down because the server does not know our key.
    pub fn key_is_refused(&self) -> bool {
        !self.up && self.reason.as_deref() == Some(SAID_REFUSED)
    }

    /// How it stands towards `server` in words, with the public half of our `key` where that is what is wrong.
    pub fn told(&self, server: &str, key: Option<&str>) -> String {
        if self.up {
            return format!("connected to {server}");
        }
        match (&self.reason, key) {
            (None, _) => format!("connecting to {server}"),
            (Some(reason), Some(key)) if self.key_is_refused() => {
                format!("not connected to {server}: {reason} {key}; add it to the server's authorization")
            }
            (Some(reason), _) => format!("not connected to {server}: {reason}"),
        }
    }

    /// Whether it is up, or why not in words.
    pub fn health(&self) -> Result<(), String> {
        let reason = || self.reason.as_deref().unwrap_or("connecting");
        if self.up { Ok(()) } else { Err(format!("not connected to the server: {}", reason())) }
    }

    /// Folds one event; gives the refusal of a subject where it is one.
    pub(super) fn apply(&mut self, event: &Event) -> Option<Refusal> {
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
            Event::ServerError(ServerError::Other(text)) => match Refusal::parse(text) {
                Some(refusal) => return Some(refusal),
                None => self.reason = Some(said(text)),
            },
            Event::ServerError(ServerError::AuthorizationViolation) => {
                self.reason = Some(SAID_REFUSED.to_owned());
            }
            Event::ClientError(ClientError::Other(text)) if !self.up => {
                let reason = self.reason.is_none() || text == KEY_REFUSED;
                self.failed(reason.then(|| text.clone()));
            }
            _ => {}
        }
        None
    }

    /// Notes why the last attempt failed, where that is known. The library says it in more than one way.
    pub(super) fn failed(&mut self, reason: Option<String>) {
        if let Some(reason) = reason {
            let refused = reason.starts_with(KEY_REFUSED);
            let reason = if refused { SAID_REFUSED.to_owned() } else { reason };
            self.reason = Some(beyond_limit(&reason).unwrap_or(reason));
        }
    }

    /// Notes that the next attempt will be made after `delay`.
    pub(super) fn retrying(&mut self, attempts: usize, delay: Duration) {
        self.attempts = attempts;
        self.next_try = Some(Instant::now() + delay);
    }
}

/// What a server says that is not about one subject.
fn said(text: &str) -> String {
    beyond_limit(text).unwrap_or_else(|| format!("the server says: {text}"))
}

/// What a server says, and what to do, if one of its limits is too low.
pub(super) fn beyond_limit(text: &str) -> Option<String> {
    let limits = [
        ("maximum subscriptions exceeded", "max_subscriptions"),
        ("maximum connections exceeded", "max_connections"),
        ("maximum account active connections exceeded", "the connections of the account"),
    ];
    let lower = text.to_ascii_lowercase();
    let (said, option) = limits.iter().find(|(said, _)| lower.contains(said))?;
    Some(format!("the server says: {said}; raise {option} in its configuration, docs/nats.md says how far"))
}

/// A subject that our key may not use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Whether it was publishing that was refused; subscribing otherwise.
    pub publish: bool,
    /// The subject.
    pub subject: String,
}

impl Refusal {
    /// Reads the server's `Permissions Violation for Publish to "deploy.prod.x"`.
    fn parse(text: &str) -> Option<Self> {
        let lower = text.to_ascii_lowercase();
        let rest = lower.strip_prefix("permissions violation for ")?;
        let subject = text.split('"').nth(1)?.to_owned();
        Some(Self { publish: rest.starts_with("publish"), subject })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.publish { "publish" } else { "subscribe" };
        write!(f, "the server refused {}: this key has no permission to {what} there", self.subject)
    }
}
