//! The NATS connection: credentials, typed publish and subscribe, scatter–gather, and the state of the link.
//!
//! It carries messages and does not know what they mean. Two manners: [`Bus::once`] for commands, which fails at
//! once where nothing can be reached, and [`Bus::lasting`] for services and the console, which never gives up.

mod connect;
mod error;
mod gather;
mod link;
mod local;
mod ping;
mod seed;
mod settings;
mod subscription;
mod tls;

pub use error::{ConnectError, LinkError};
pub use gather::{Gathered, Patience};
pub use link::{Link, Refusal};
pub use seed::{Seed, SeedError};
pub use settings::{Settings, SettingsError, Tls, shown_servers};
pub use subscription::{Received, Subscription};

use crate::protocol::{KEY_HEADER, SIGNATURE_HEADER, signed_bytes};
use async_nats::HeaderMap;
use bytes::Bytes;
use std::sync::Arc;
use tokio::sync::{broadcast, watch};

/// A connection that many tasks share.
#[derive(Clone)]
pub struct Bus {
    client: async_nats::Client,
    link: watch::Receiver<Link>,
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
        self.check_up()?;
        let sent = self.client.publish(subject.to_owned(), Bytes::from(payload)).await;
        sent.map_err(|error| not_sent(subject, &error))
    }

    /// Publishes a message with a reply subject. Where we are subscribed to that and nobody takes the message, the
    /// server answers "no responders" at once.
    pub async fn publish_with_reply(
        &self,
        subject: &str,
        reply: &str,
        payload: Vec<u8>,
    ) -> Result<(), LinkError> {
        self.send(subject, reply, HeaderMap::new(), payload).await
    }

    /// The same with a request, which is signed with the key of this connection where it has one.
    pub async fn publish_request(
        &self,
        subject: &str,
        reply: &str,
        payload: Vec<u8>,
    ) -> Result<(), LinkError> {
        let headers = self.signature(subject, &payload)?;
        self.send(subject, reply, headers, payload).await
    }

    fn signature(&self, subject: &str, payload: &[u8]) -> Result<HeaderMap, LinkError> {
        let mut headers = HeaderMap::new();
        if let Some(seed) = &self.settings.seed {
            let signature =
                seed.sign(&signed_bytes(subject, payload)).map_err(|error| not_sent(subject, &error))?;
            headers.insert(KEY_HEADER, seed.public_key());
            headers.insert(SIGNATURE_HEADER, signature);
        }
        Ok(headers)
    }

    async fn send(
        &self,
        subject: &str,
        reply: &str,
        headers: HeaderMap,
        payload: Vec<u8>,
    ) -> Result<(), LinkError> {
        self.check_up()?;
        let (to, reply) = (subject.to_owned(), reply.to_owned());
        let sent = self.client.publish_with_reply_and_headers(to, reply, headers, Bytes::from(payload)).await;
        sent.map_err(|error| not_sent(subject, &error))
    }

    /// Subscribes for as long as the subscription lives, across reconnects. `read` makes the message from subject
    /// and payload.
    pub async fn subscribe<T>(
        &self,
        subject: &str,
        read: fn(&str, &[u8]) -> T,
    ) -> Result<Subscription<T>, LinkError> {
        let inner = self.client.subscribe(subject.to_owned()).await;
        let inner = inner.map_err(|error| LinkError::Subscribe {
            subject: subject.to_owned(),
            reason: error.to_string(),
        })?;
        Ok(Subscription::new(inner, read))
    }

    /// Hands everything published so far to the operating system.
    pub async fn flush(&self) {
        // It fails only where the connection's own task is gone, and then there is nothing left to flush.
        let _ = self.client.flush().await;
    }

    fn check_up(&self) -> Result<(), LinkError> {
        let link = self.link.borrow();
        if link.up { Ok(()) } else { Err(LinkError::Down { reason: link.reason.clone() }) }
    }
}

fn not_sent(subject: &str, error: &dyn std::error::Error) -> LinkError {
    LinkError::Send { subject: subject.to_owned(), reason: error.to_string() }
}
