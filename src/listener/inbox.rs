//! What arrives for this listener, from all its subjects in one stream.

use super::Config;
use crate::bus::{Bus, LinkError, Received};
use crate::jobs::now;
use crate::keys::{Refused, signer};
use crate::protocol::{Ask, BadRequest, DeployRequest, PublicKey, Purpose, WireError};
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
            let read = move |received| ready(arrived(&config, received));
            streams.push(requests.stream().filter_map(read).boxed());
        }
        let asks = bus.subscribe(&config.discover_subject, |_, payload| Ask::parse(payload)).await?;
        streams.push(asks.messages().map(|(ask, _)| Incoming::Ask(Box::new(ask))).boxed());
        Ok(Self(streams))
    }

    /// The next thing that arrives.
    pub(super) async fn next(&mut self) -> Incoming {
        // Subscriptions never end.
        self.0.select_next_some().await
    }
}

fn arrived(config: &Config, received: Received<Vec<u8>>) -> Option<Incoming> {
    let Received { subject, reply, headers, message, .. } = received;
    let payload = message?;
    let (trusted, fleet) = (&config.trusted_keys, config.settings.fleet.as_ref());
    let signer = if trusted.is_empty() {
        Ok(None)
    } else {
        signer(Purpose::Request, trusted, fleet, now(), &subject, &payload, &headers).map(Some)
    };
    let request = DeployRequest::parse(&payload);
    Some(Incoming::Request(Box::new(Arrived { subject, reply, request, signer })))
}
