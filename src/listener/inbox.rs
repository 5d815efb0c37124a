//! What arrives for this listener, from all its subjects in one stream.

use super::Config;
use crate::bus::{Bus, LinkError};
use crate::protocol::{Ask, BadRequest, DeployRequest, WireError};
use futures_util::stream::{BoxStream, SelectAll, StreamExt};

/// Something that arrived.
pub(super) enum Incoming {
    /// A request, or what could be read of it, and the reply subject it carried.
    Request(Result<DeployRequest, Box<BadRequest>>, Option<String>),
    /// A question.
    Ask(Result<Ask, WireError>),
}

/// The subscriptions of a listener.
pub(super) struct Inbox(SelectAll<BoxStream<'static, Incoming>>);

impl Inbox {
    /// Subscribes to everything a listener listens on.
    pub(super) async fn open(bus: &Bus, config: &Config) -> Result<Self, LinkError> {
        let mut streams = SelectAll::new();
        for subject in &config.deploy_subjects {
            let requests = bus.subscribe(subject, |_, payload| DeployRequest::parse(payload)).await?;
            streams
                .push(requests.messages().map(|(request, reply)| Incoming::Request(request, reply)).boxed());
        }
        let asks = bus.subscribe(&config.discover_subject, |_, payload| Ask::parse(payload)).await?;
        streams.push(asks.messages().map(|(ask, _)| Incoming::Ask(ask)).boxed());
        Ok(Self(streams))
    }

    /// The next thing that arrives; `None` once the connection is closed for good.
    pub(super) async fn next(&mut self) -> Option<Incoming> {
        self.0.next().await
    }
}
