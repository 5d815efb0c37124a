//! Merges the messages of all subscriptions of this listener into one stream.

use super::ListenerConfig;
use crate::clock::now;
use crate::keys::{SignatureRejection, verify_signer};
use crate::nats::{Client, NatsError, Received};
use crate::protocol::{DeployRequest, PublicKey, Purpose, Query, RejectedRequest, WireError};
use futures_util::future::ready;
use futures_util::stream::{BoxStream, SelectAll, StreamExt};
use std::sync::Arc;

/// A received message.
pub(super) enum ListenerMessage {
    /// A message on a deploy subject.
    Request(Box<ReceivedRequest>),
    /// A message on the discover subject.
    Query(Box<Result<Query, WireError>>),
}

/// A received request with its metadata.
pub(super) struct ReceivedRequest {
    /// The subject on which it arrived.
    pub(super) subject: String,
    /// The NATS reply subject, if the message has one.
    pub(super) reply: Option<String>,
    /// The request, or what could be parsed of it.
    pub(super) request: Result<DeployRequest, Box<RejectedRequest>>,
    /// The key that signed it; `None` if no keys are trusted.
    pub(super) signer: Result<Option<PublicKey>, SignatureRejection>,
}

/// Subscribes to all subjects of a listener. The stream never ends.
pub(super) async fn subscribe(
    nats: &Client,
    config: &Arc<ListenerConfig>,
) -> Result<SelectAll<BoxStream<'static, ListenerMessage>>, NatsError> {
    let mut streams = SelectAll::new();
    for subject in &config.deploy_subjects {
        let requests = nats.subscribe(subject, |_, payload| payload.to_vec()).await?;
        let config = config.clone();
        let read = move |received| ready(received_request(&config, received));
        streams.push(requests.stream().filter_map(read).boxed());
    }
    let queries = nats.subscribe(&config.discover_subject, |_, payload| Query::parse(payload)).await?;
    streams.push(queries.messages().map(|(query, _)| ListenerMessage::Query(Box::new(query))).boxed());
    Ok(streams)
}

fn received_request(config: &ListenerConfig, received: Received<Vec<u8>>) -> Option<ListenerMessage> {
    let Received { subject, reply, headers, message, .. } = received;
    let payload = message?;
    let (trusted, fleet) = (&config.trusted_keys, config.settings.fleet.as_ref());
    let signer = verify_signer(Purpose::Request, trusted, fleet, now(), &subject, &payload, &headers);
    let request = DeployRequest::parse(&payload);
    Some(ListenerMessage::Request(Box::new(ReceivedRequest { subject, reply, request, signer })))
}
