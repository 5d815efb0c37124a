//! Delivery of final reports: each is sent again until the server has acknowledged it.

use crate::nats::{Client, NatsError};
use crate::protocol::{Id, Purpose};
use crate::state_dir::StoreError;
use std::time::Duration;
use tokio::task::spawn_blocking;
use tracing::{Instrument, Span};

/// Maximum time for the server to acknowledge published messages.
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// How often an acknowledgement of final reports is requested on one connection. A server that responds to nothing for
/// half a minute is disconnected, and the next connection delivers them.
const MAX_PINGS: usize = 6;

/// A final report that the server has not acknowledged yet.
#[derive(Debug)]
pub struct FinalReport {
    /// Id of the job or build.
    pub id: Id,
    /// The subject that it is published on.
    pub subject: String,
    /// The encoded report.
    pub payload: Vec<u8>,
    /// The purpose of its signature; `None` for an unsigned report.
    pub purpose: Option<Purpose>,
    /// The span of the job or build.
    pub span: Span,
}

/// Publishes final reports, waits until the server has acknowledged them, and marks them as delivered on disk with
/// `mark`, which blocks. Returns the ids of the delivered ones.
pub async fn deliver(
    nats: Client,
    reports: Vec<FinalReport>,
    mark: impl Fn(&Id) -> Result<(), StoreError> + Send + 'static,
) -> Vec<Id> {
    let connection = nats.connection_state();
    let connects = connection.borrow().connects;
    let mut sent = Vec::new();
    for FinalReport { id, subject, payload, purpose, span } in reports {
        let published = async {
            match purpose {
                Some(purpose) => nats.publish_signed(purpose, &subject, None, payload).await,
                None => nats.publish(&subject, payload).await,
            }
        };
        match published.instrument(span.clone()).await {
            Ok(()) => sent.push((id, span)),
            // The next connection delivers all of them.
            Err(NatsError::Disconnected { .. }) => return Vec::new(),
            // A report that the server does not accept does not hold up the others.
            Err(error) => span.in_scope(|| tracing::warn!(%error, "failed to publish a final report")),
        }
    }
    if sent.is_empty() || !wait_delivered(&nats).await || connection.borrow().connects != connects {
        return Vec::new();
    }
    let delivered = sent.iter().map(|(id, _)| id.clone()).collect();
    let marked = spawn_blocking(move || {
        for (id, span) in sent {
            if let Err(error) = mark(&id) {
                span.in_scope(|| tracing::warn!(%error, "failed to mark result as delivered"));
            }
        }
    });
    // If a mark is missing, the report is sent again after a restart, which is harmless.
    let _ = marked.await;
    delivered
}

/// Waits until the server has processed all published messages, even if it does not respond for a while: it reads the
/// messages of a connection in order, so they need not be sent again. False if the connection is lost.
async fn wait_delivered(nats: &Client) -> bool {
    for _ in 0..MAX_PINGS {
        match nats.ping(PING_TIMEOUT).await {
            Ok(_) => return true,
            Err(NatsError::PingTimeout { .. }) => {
                tracing::warn!("the server has not acknowledged the final reports yet");
            }
            Err(_) => return false,
        }
    }
    false
}

/// Waits until the server has processed all published messages; false if it does not respond.
pub async fn wait_acknowledged(nats: &Client) -> bool {
    nats.ping(PING_TIMEOUT).await.is_ok()
}
