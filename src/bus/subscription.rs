//! A typed stream of messages.

use super::backlog::Backlog;
use super::supervisor::Supervised;
use async_nats::{HeaderMap, HeaderValue, StatusCode};
use bytes::Bytes;
use futures_util::stream::unfold;
use futures_util::{Stream, StreamExt};
use std::sync::Arc;

/// One message as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received<T> {
    /// Where it was published.
    pub subject: String,
    /// The reply subject it carried.
    pub reply: Option<String>,
    /// The headers it carried, name and value.
    pub headers: Vec<(String, String)>,
    /// Its exact content, which a signature is over.
    pub payload: Bytes,
    /// What it says; `None` where the server tells that nobody took our message.
    pub message: Option<T>,
}

/// Messages of one subject, until dropped. It outlives connections, so it never ends.
pub struct Subscription<T> {
    inner: Backlog,
    /// Keeps the connection.
    _supervised: Arc<Supervised>,
    read: fn(&str, &[u8]) -> T,
}

impl<T> Subscription<T> {
    pub(super) fn new(inner: Backlog, supervised: Arc<Supervised>, read: fn(&str, &[u8]) -> T) -> Self {
        Self { inner, _supervised: supervised, read }
    }

    /// The next message. Cancel safe.
    pub async fn next(&mut self) -> Received<T> {
        let message = self.inner.next().await;
        self.received(message)
    }

    /// Everything to come.
    pub fn stream(self) -> impl Stream<Item = Received<T>>
    where
        T: 'static,
    {
        unfold(self, async |mut subscription| Some((subscription.next().await, subscription)))
    }

    /// All messages to come, each with the reply subject it carried.
    pub fn messages(self) -> impl Stream<Item = (T, Option<String>)>
    where
        T: 'static,
    {
        self.stream().filter_map(async |received| Some((received.message?, received.reply)))
    }

    /// The next message if it has already arrived.
    pub fn ready(&mut self) -> Option<Received<T>> {
        let message = self.inner.ready()?;
        Some(self.received(message))
    }

    /// Waits until everything can be read that has arrived on the connection by now.
    pub(super) async fn catch_up(&self) {
        self.inner.catch_up().await;
    }

    /// Tells the server that we want no more.
    pub async fn end(self) {
        self.inner.end().await;
    }

    fn received(&self, message: async_nats::Message) -> Received<T> {
        let nobody = message.status == Some(StatusCode::NO_RESPONDERS);
        let content = (!nobody).then(|| (self.read)(&message.subject, &message.payload));
        let reply = message.reply.map(|reply| reply.to_string());
        let headers = message.headers.as_ref().map(pairs).unwrap_or_default();
        Received {
            subject: message.subject.to_string(),
            reply,
            headers,
            payload: message.payload,
            message: content,
        }
    }
}

fn pairs(headers: &HeaderMap) -> Vec<(String, String)> {
    let values = |name: String, values: &[HeaderValue]| {
        values.iter().map(|value| (name.clone(), value.as_str().to_owned())).collect::<Vec<_>>()
    };
    headers.iter().flat_map(|(name, all)| values(name.to_string(), all)).collect()
}
