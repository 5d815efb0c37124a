//! The NATS connection: credentials, typed publish and subscribe, scatter–gather, and the state of the link.
//!
//! It carries messages and does not know what they mean. Two manners: [`Bus::once`] for commands, which fails at
//! once where nothing can be reached, and [`Bus::lasting`] for services and the console, which never gives up.

mod backlog;
mod capacity;
mod connect;
mod error;
mod gather;
mod link;
mod local;
mod outgoing;
mod pace;
mod panics;
mod ping;
mod seed;
mod settings;
mod sign_in;
mod subscription;
mod supervisor;
mod tls;

pub use capacity::Capacity;
pub use error::{ConnectError, LinkError};
pub use gather::{Gathered, Patience, Scatter};
pub use link::{Link, Refusal};
pub use panics::{hide_connection_panics, is_connection_panic};
pub use seed::{Seed, SeedError};
pub use settings::{Settings, SettingsError, Tls, shown_servers};
pub use subscription::{Received, Subscription};

use crate::protocol::{KEY_HEADER, MAX_ENCODED, MAX_MESSAGE, Name, Purpose, SIGNATURE_HEADER, signed_bytes};
use async_nats::HeaderMap;
use backlog::Backlog;
use bytes::Bytes;
use std::sync::Arc;
use supervisor::Supervised;
use tokio::sync::{broadcast, watch};

/// A connection that many tasks share.
#[derive(Clone)]
pub struct Bus {
    supervised: Arc<Supervised>,
    link: watch::Receiver<Link>,
    /// Where dropped messages are counted.
    counts: Arc<watch::Sender<Link>>,
    refusals: broadcast::Sender<Refusal>,
    pinger: Arc<ping::Pinger>,
    /// How it was made.
    settings: Arc<Settings>,
}

impl Bus {
    /// Connects, or fails at once with the reason.
    pub async fn once(settings: &Settings) -> Result<Self, ConnectError> {
        connect::connect(settings, false).await
    }

    /// Connects as soon as a server can be reached and reconnects for ever; [`Bus::link`] tells how it stands.
    pub async fn lasting(settings: &Settings) -> Result<Self, ConnectError> {
        connect::connect(settings, true).await
    }

    /// Makes another connection in the same way, as [`Bus::once`] does.
    pub async fn open_another(&self) -> Result<Self, ConnectError> {
        Self::once(&self.settings).await
    }

    /// The state of the link, and every change of it.
    pub fn link(&self) -> watch::Receiver<Link> {
        self.link.clone()
    }

    /// Every refusal of a subject from now on.
    pub fn refusals(&self) -> broadcast::Receiver<Refusal> {
        self.refusals.subscribe()
    }

    /// Publishes a message. Fails while the link is down instead of keeping the message for later: what was said
    /// too late must not take effect.
    ///
    /// A refusal by the server comes back later, through [`Bus::refusals`].
    pub async fn publish(&self, subject: &str, payload: Vec<u8>) -> Result<(), LinkError> {
        self.outgoing(subject, None, HeaderMap::new(), Bytes::from(payload)).await
    }

    /// Publishes a message that is signed with the key of this connection, if it has one; with a reply subject, if that is
    /// given. If we are subscribed to that and no one takes the message, the server answers "no responders" at once.
    pub async fn publish_signed(
        &self,
        purpose: Purpose,
        subject: &str,
        reply: Option<&str>,
        payload: Vec<u8>,
    ) -> Result<(), LinkError> {
        let headers = self.signature(purpose, subject, &payload)?;
        self.outgoing(subject, reply, headers, Bytes::from(payload)).await
    }

    /// The largest message that the server takes without its headers, in bytes; unknown until there was a connection.
    pub fn room(&self) -> Option<usize> {
        self.max_payload().map(|most| most.saturating_sub(MAX_MESSAGE - MAX_ENCODED))
    }

    /// What the server should be given more of, in a sentence.
    pub fn shortage(&self) -> Option<String> {
        self.max_payload().filter(|most| *most < MAX_MESSAGE).map(|most| {
            format!(
                "the server takes messages of at most {most} bytes (max_payload), so logs and long reports do not get \
                 through; set max_payload to {MAX_MESSAGE} in its configuration"
            )
        })
    }

    fn max_payload(&self) -> Option<usize> {
        Some(self.supervised.client().server_info().max_payload).filter(|most| *most > 0)
    }

    /// The fleet's name, which is part of everything that is signed.
    pub fn fleet(&self) -> Option<&Name> {
        self.settings.fleet.as_ref()
    }

    fn signature(&self, purpose: Purpose, subject: &str, payload: &[u8]) -> Result<HeaderMap, LinkError> {
        let mut headers = HeaderMap::new();
        if let Some(seed) = &self.settings.seed {
            let signature = seed.sign(&signed_bytes(purpose, self.fleet(), subject, payload));
            headers.insert(KEY_HEADER, seed.public_key());
            headers.insert(SIGNATURE_HEADER, signature.map_err(|error| not_sent(subject, &error))?);
        }
        Ok(headers)
    }

    /// Subscribes for as long as the subscription lives, across reconnects and over every connection that replaces this
    /// one. `read` makes the message from subject and payload.
    pub async fn subscribe<T>(
        &self,
        subject: &str,
        read: fn(&str, &[u8]) -> T,
    ) -> Result<Subscription<T>, LinkError> {
        let subscribers = self.supervised.subscribe(subject).await?;
        let backlog = Backlog::new(subscribers, self.settings.capacity, self.counts.clone());
        Ok(Subscription::new(backlog, self.supervised.clone(), read))
    }

    /// Hands everything published so far to the operating system.
    pub async fn flush(&self) {
        // It fails only where the connection's own task is gone, and then there is nothing left to flush.
        let _ = self.supervised.client().flush().await;
    }
}

fn not_sent(subject: &str, error: &dyn std::error::Error) -> LinkError {
    LinkError::Send { subject: subject.to_owned(), reason: error.to_string() }
}
