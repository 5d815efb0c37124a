//! What arrives for this listener, from all its subjects in one stream.

use super::Config;
use crate::bus::{Bus, LinkError, Subscription};
use crate::protocol::{Ask, BadRequest, DeployRequest, WireError};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Something that arrived.
pub(super) enum Incoming {
    /// A request, or what could be read of it, and the reply subject it carried.
    Request(Result<DeployRequest, Box<BadRequest>>, Option<String>),
    /// A question.
    Ask(Result<Ask, WireError>),
}

/// The subscriptions of a listener.
pub(super) struct Inbox {
    incoming: mpsc::Receiver<Incoming>,
    _readers: JoinSet<()>,
}

impl Inbox {
    /// Subscribes to everything a listener listens on.
    pub(super) async fn open(bus: &Bus, config: &Config) -> Result<Self, LinkError> {
        let (into, incoming) = mpsc::channel(256);
        let mut readers = JoinSet::new();
        for subject in &config.deploy_subjects {
            let requests = bus.subscribe(subject, |_, payload| DeployRequest::parse(payload)).await?;
            readers.spawn(forward(requests, into.clone(), Incoming::Request));
        }
        let asks = bus.subscribe(&config.discover_subject, |_, payload| Ask::parse(payload)).await?;
        readers.spawn(forward(asks, into, |ask, _| Incoming::Ask(ask)));
        Ok(Self { incoming, _readers: readers })
    }

    /// The next thing that arrives; `None` once the connection is closed for good.
    pub(super) async fn next(&mut self) -> Option<Incoming> {
        self.incoming.recv().await
    }
}

async fn forward<T>(
    mut from: Subscription<T>,
    into: mpsc::Sender<Incoming>,
    wrap: fn(T, Option<String>) -> Incoming,
) {
    while let Some(received) = from.next().await {
        let Some(message) = received.message else { continue };
        if into.send(wrap(message, received.reply)).await.is_err() {
            return;
        }
    }
}
