//! What arrives for this listener, from all its subjects in one stream.

use super::Config;
use super::permit::{self, Refused};
use crate::bus::{Bus, LinkError, Received};
use crate::keys::PublicKey;
use crate::protocol::{Ask, BadRequest, DeployRequest, WireError};
use futures_util::future::ready;
use futures_util::stream::{BoxStream, SelectAll, StreamExt};
use std::sync::Arc;

/// Something that arrived.
pub(super) enum Incoming {
    /// A request.
    Request(Box<Arrived>),
    /// A question.
    Ask(Box<Result<Ask, WireError>>),
}

/// A request as it arrived.
pub(super) struct Arrived {
    /// The subject that it came on.
    pub(super) subject: String,
    /// The reply subject it carried.
    pub(super) reply: Option<String>,
    /// What it says, or what could be read of it.
    pub(super) request: Result<DeployRequest, Box<BadRequest>>,
    /// Who has signed it; nobody where no key is trusted.
    pub(super) signer: Result<Option<PublicKey>, Refused>,
}

/// The subscriptions of a listener.
pub(super) struct Inbox(SelectAll<BoxStream<'static, Incoming>>);

impl Inbox {
    /// Subscribes to everything a listener listens on.
    pub(super) async fn open(bus: &Bus, config: &Arc<Config>) -> Result<Self, LinkError> {
        let mut streams = SelectAll::new();
        for subject in &config.deploy_subjects {
            let requests = bus.subscribe(subject, |_, payload| payload.to_vec()).await?;
            let config = config.clone();
            let read = move |received| ready(arrived(&config.trusted_keys, received));
            streams.push(requests.stream().filter_map(read).boxed());
        }
        let asks = bus.subscribe(&config.discover_subject, |_, payload| Ask::parse(payload)).await?;
        streams.push(asks.messages().map(|(ask, _)| Incoming::Ask(Box::new(ask))).boxed());
        Ok(Self(streams))
    }

    /// The next thing that arrives; `None` once the connection is closed for good.
    pub(super) async fn next(&mut self) -> Option<Incoming> {
        self.0.next().await
    }
}

fn arrived(trusted: &[PublicKey], received: Received<Vec<u8>>) -> Option<Incoming> {
    let Received { subject, reply, headers, message } = received;
    let payload = message?;
    let signer = if trusted.is_empty() {
        Ok(None)
    } else {
        permit::signer(trusted, &subject, &payload, &headers).map(Some)
    };
    let request = DeployRequest::parse(&payload);
    Some(Incoming::Request(Box::new(Arrived { subject, reply, request, signer })))
}
