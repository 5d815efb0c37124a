//! A typed stream of messages.

use async_nats::{HeaderMap, HeaderValue, StatusCode, Subscriber};
use futures_util::stream::unfold;
use futures_util::{FutureExt, Stream, StreamExt};
use tokio::task::coop::unconstrained;

/// One message as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received<T> {
    /// Where it was published.
    pub subject: String,
    /// The reply subject it carried.
    pub reply: Option<String>,
    /// The headers it carried, name and value.
    pub headers: Vec<(String, String)>,
    /// What it says; `None` where the server tells that nobody took our message.
    pub message: Option<T>,
}

/// Messages of one subject, until dropped.
pub struct Subscription<T> {
    inner: Subscriber,
    read: fn(&str, &[u8]) -> T,
}

impl<T> Subscription<T> {
    pub(super) fn new(inner: Subscriber, read: fn(&str, &[u8]) -> T) -> Self {
        Self { inner, read }
    }

    /// The next message; `None` once the connection is closed for good.
    pub async fn next(&mut self) -> Option<Received<T>> {
        let message = self.inner.next().await?;
        Some(self.received(message))
    }

    /// Everything to come.
    pub fn stream(self) -> impl Stream<Item = Received<T>>
    where
        T: 'static,
    {
        unfold(self, async |mut subscription| Some((subscription.next().await?, subscription)))
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
        // The runtime would say that nothing is there once a task has had its share.
        let message = unconstrained(self.inner.next()).now_or_never()??;
        Some(self.received(message))
    }

    /// Tells the server that we want no more.
    pub async fn end(mut self) {
        // Fails only where the connection is gone, and then the server knows.
        let _ = self.inner.unsubscribe().await;
    }

    fn received(&self, message: async_nats::Message) -> Received<T> {
        let nobody = message.status == Some(StatusCode::NO_RESPONDERS);
        let content = (!nobody).then(|| (self.read)(&message.subject, &message.payload));
        let reply = message.reply.map(|reply| reply.to_string());
        let headers = message.headers.as_ref().map(pairs).unwrap_or_default();
        Received { subject: message.subject.to_string(), reply, headers, message: content }
    }
}

fn pairs(headers: &HeaderMap) -> Vec<(String, String)> {
    let values = |name: String, values: &[HeaderValue]| {
        values.iter().map(|value| (name.clone(), value.as_str().to_owned())).collect::<Vec<_>>()
    };
    headers.iter().flat_map(|(name, all)| values(name.to_string(), all)).collect()
}
