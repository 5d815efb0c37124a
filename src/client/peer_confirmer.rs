//! Confirms hosts over a new connection. A host that runs the NATS server needs a peer, because it reaches that server
//! even if its network is broken.

use crate::nats::{Client, ConnectError, NatsError};
use crate::protocol::{DISCOVER, DeployReport, Id, Name, Purpose, Query, QueryKind, ReplyTo};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tracing::Instrument;

/// Maximum time for the NATS server to acknowledge the message.
const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// Time after which a repeated report means that the answer was lost.
const REPEAT_AFTER: Duration = Duration::from_secs(10);
/// Maximum number of attempts and the pause between them, because the server may be unavailable for a moment.
const ATTEMPTS: u32 = 10;
const PAUSE: Duration = Duration::from_secs(1);

/// Answers reports of hosts that request a confirmation by a peer.
pub(super) struct PeerConfirmer {
    nats: Client,
    /// The last answer per host: host, nonce of its report, and time.
    last: Vec<(Name, String, Instant)>,
}

impl PeerConfirmer {
    pub(super) fn new(nats: Client) -> Self {
        Self { nats, last: Vec::new() }
    }

    /// Answers a report that requests a confirmation. A report that repeats it later has not received the answer.
    pub(super) fn on_report(&mut self, report: &DeployReport) {
        let Some(nonce) = report.confirm.as_ref().map(|nonce| nonce.as_str().to_owned()) else { return };
        let host = report.hostname.clone();
        let is_recent = |(to, answered, at): &(Name, String, Instant)| {
            *to == host && *answered == nonce && at.elapsed() < REPEAT_AFTER
        };
        if self.last.iter().any(is_recent) {
            return;
        }
        self.last.retain(|(to, ..)| *to != host);
        self.last.push((host.clone(), nonce.clone(), Instant::now()));
        let (nats, id) = (self.nats.clone(), report.id.clone());
        let confirming = async move {
            for _ in 0..ATTEMPTS {
                match confirm_host(&nats, &host, id.clone(), &nonce).await {
                    Ok(()) => return,
                    Err(error) => {
                        tracing::warn!(%host, %error, "failed to confirm a host over a fresh connection");
                    }
                }
                sleep(PAUSE).await;
            }
        };
        tokio::spawn(confirming.in_current_span());
    }
}

#[derive(Debug, thiserror::Error)]
enum PeerConfirmError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Nats(#[from] NatsError),
}

async fn confirm_host(
    nats: &Client,
    host: &Name,
    id: Option<Id>,
    nonce: &str,
) -> Result<(), PeerConfirmError> {
    let fresh = nats.connect_another().await?;
    let mut query = Query::new(ReplyTo::replies(super::operator::fresh_id()));
    query.hosts = vec![host.clone()];
    query.query = Some(QueryKind::Job);
    query.id = id;
    query.confirm = Some(nonce.to_owned());
    fresh.publish_signed(Purpose::Query, DISCOVER, None, query.encode()).await?;
    // The server processes messages in order, so the pong follows the query.
    fresh.ping(PING_TIMEOUT).await?;
    Ok(())
}
