//! Sending over a link that may be replaced at this moment.

use super::{Bus, LinkError, not_sent};
use async_nats::HeaderMap;
use async_nats::client::PublishErrorKind;
use bytes::Bytes;
use std::time::Duration;
use tokio::time::timeout;

/// How long to wait for a connection that is being replaced. A server that is away is not waited for.
const REPLACED: Duration = Duration::from_secs(1);
/// How often a message is handed over: a connection may end each time.
const ATTEMPTS: usize = 3;

impl Bus {
    /// Fails while the link is down, but waits for a connection that is being replaced.
    pub(super) async fn ready(&self) -> Result<(), LinkError> {
        let mut link = self.link.clone();
        if link.borrow().is_replaced() {
            // Whether it came up in time is looked at below.
            let _ = timeout(REPLACED, link.wait_for(|link| !link.is_replaced())).await;
        }
        let link = link.borrow();
        if link.up { Ok(()) } else { Err(LinkError::Down { reason: link.reason.clone() }) }
    }

    /// Hands a message to the present client, and to its successor if that client has just ended.
    pub(super) async fn outgoing(
        &self,
        subject: &str,
        reply: Option<&str>,
        headers: HeaderMap,
        payload: Bytes,
    ) -> Result<(), LinkError> {
        for _ in 0..ATTEMPTS {
            self.ready().await?;
            let ended = self.link.borrow().ended;
            let (client, to) = (self.supervised.client(), subject.to_owned());
            let (headers, payload) = (headers.clone(), payload.clone());
            let sent = match reply.map(ToOwned::to_owned) {
                None if headers.is_empty() => client.publish(to, payload).await,
                None => client.publish_with_headers(to, headers, payload).await,
                Some(reply) => client.publish_with_reply_and_headers(to, reply, headers, payload).await,
            };
            match sent {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == PublishErrorKind::Send => {
                    let mut link = self.link.clone();
                    let _ = timeout(REPLACED, link.wait_for(|link| link.ended != ended)).await;
                }
                Err(error) => return Err(not_sent(subject, &error)),
            }
        }
        let reason = self.link.borrow().reason.clone();
        Err(LinkError::Down { reason: reason.or_else(|| Some("the connection was closed".to_owned())) })
    }
}
