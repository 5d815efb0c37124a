//! A typed stream of messages, and the limits on its unread messages.

use super::backlog::Backlog;
use super::supervisor::SupervisedClient;
use async_nats::{HeaderMap, HeaderValue, StatusCode};
use bytes::Bytes;
use futures_util::stream::unfold;
use futures_util::{Stream, StreamExt};
use std::sync::Arc;

/// A message as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received<T> {
    /// The subject that it was published on.
    pub subject: String,
    /// The reply subject of the message.
    pub reply: Option<String>,
    /// The headers as pairs of name and value.
    pub headers: Vec<(String, String)>,
    /// The exact payload, which is covered by the signature.
    pub payload: Bytes,
    /// The parsed message; `None` if the server reports that no client received our message.
    pub message: Option<T>,
}

/// The messages of a subject, until dropped. A subscription outlives connections, so it never ends.
pub struct Subscription<T> {
    backlog: Backlog,
    /// Keeps the connection alive.
    _supervised: Arc<SupervisedClient>,
    read: fn(&str, &[u8]) -> T,
}

impl<T> Subscription<T> {
    pub(super) fn new(
        backlog: Backlog,
        supervised: Arc<SupervisedClient>,
        read: fn(&str, &[u8]) -> T,
    ) -> Self {
        Self { backlog, _supervised: supervised, read }
    }

    /// Returns the next message. Cancel safe.
    pub async fn next(&mut self) -> Received<T> {
        let message = self.backlog.next().await;
        self.received(message)
    }

    /// Converts the subscription into a stream.
    pub fn stream(self) -> impl Stream<Item = Received<T>>
    where
        T: 'static,
    {
        unfold(self, async |mut subscription| Some((subscription.next().await, subscription)))
    }

    /// Converts the subscription into a stream of messages, each with its reply subject.
    pub fn messages(self) -> impl Stream<Item = (T, Option<String>)>
    where
        T: 'static,
    {
        self.stream().filter_map(async |received| Some((received.message?, received.reply)))
    }

    /// Returns the next message if it has already arrived.
    pub fn try_next(&mut self) -> Option<Received<T>> {
        let message = self.backlog.try_next()?;
        Some(self.received(message))
    }

    /// Waits until all messages that have arrived on the connection can be read.
    pub(super) async fn catch_up(&self) {
        self.backlog.catch_up().await;
    }

    /// Unsubscribes on the server.
    pub async fn unsubscribe(self) {
        self.backlog.unsubscribe().await;
    }

    fn received(&self, message: async_nats::Message) -> Received<T> {
        let no_responders = message.status == Some(StatusCode::NO_RESPONDERS);
        let content = (!no_responders).then(|| (self.read)(&message.subject, &message.payload));
        let reply = message.reply.map(|reply| reply.to_string());
        let headers = message.headers.as_ref().map(header_pairs).unwrap_or_default();
        Received {
            subject: message.subject.to_string(),
            reply,
            headers,
            payload: message.payload,
            message: content,
        }
    }
}

fn header_pairs(headers: &HeaderMap) -> Vec<(String, String)> {
    let values = |name: String, values: &[HeaderValue]| {
        values.iter().map(|value| (name.clone(), value.as_str().to_owned())).collect::<Vec<_>>()
    };
    headers.iter().flat_map(|(name, all)| values(name.to_string(), all)).collect()
}

/// The limits of a subscription. Messages beyond them are dropped and counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// The maximum number of unread messages.
    pub messages: usize,
    /// The maximum total size of unread messages, in bytes.
    pub bytes: usize,
}

impl Capacity {
    /// For a listener and a builder. They reply as fast as they read, and a dropped request is sent again.
    pub const SERVICE: Self = Self { messages: 1024, bytes: 8 << 20 };
    /// For commands and the console: a thousand hosts that reply simultaneously with the largest message, or tens of
    /// thousands with a typical one.
    pub const OPERATOR: Self = Self { messages: 64 << 10, bytes: 64 << 20 };
}
