//! Lets hosts hear this client over a fresh connection. A host that runs the NATS server needs that: it reaches the server
//! whatever becomes of the network.

use crate::bus::{Bus, ConnectError, LinkError};
use crate::protocol::{Ask, DISCOVER, DeployReport, Id, Name, Purpose, ReplyTo, Want};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long the NATS server may take to read what was sent.
const DELIVERED: Duration = Duration::from_secs(5);

/// How long an answer may take to be heard.
const AGAIN: Duration = Duration::from_secs(10);
/// How often it is tried, and the pause between: the server may be away for a moment.
const ATTEMPTS: u32 = 10;
const PAUSE: Duration = Duration::from_secs(1);

/// Answers hosts whose reports ask to hear another client.
pub(super) struct Voucher {
    bus: Bus,
    /// The last answer for each host: the host, the nonce of its report, and when it was given.
    last: Vec<(Name, String, Instant)>,
}

impl Voucher {
    pub(super) fn new(bus: Bus) -> Self {
        Self { bus, last: Vec::new() }
    }

    /// Answers a report that asks for it; one that asks again some time later has not heard it.
    pub(super) fn look(&mut self, report: &DeployReport) {
        let Some(nonce) = report.confirm.as_ref().map(|nonce| nonce.as_str().to_owned()) else { return };
        let host = report.hostname.clone();
        let is_recent = |(to, answered, at): &(Name, String, Instant)| {
            *to == host && *answered == nonce && at.elapsed() < AGAIN
        };
        if self.last.iter().any(is_recent) {
            return;
        }
        self.last.retain(|(to, ..)| *to != host);
        self.last.push((host.clone(), nonce.clone(), Instant::now()));
        let (bus, id) = (self.bus.clone(), report.id.clone());
        tokio::spawn(async move {
            for _ in 0..ATTEMPTS {
                match vouch(&bus, &host, id.clone(), &nonce).await {
                    Ok(()) => return,
                    Err(error) => {
                        tracing::warn!(%host, %error, "failed to confirm a host over a fresh connection");
                    }
                }
                sleep(PAUSE).await;
            }
        });
    }
}

#[derive(Debug, thiserror::Error)]
enum VouchError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Link(#[from] LinkError),
}

async fn vouch(bus: &Bus, host: &Name, id: Option<Id>, nonce: &str) -> Result<(), VouchError> {
    let fresh = bus.open_another().await?;
    let mut ask = Ask::new(ReplyTo::answers(super::operator::fresh_id()));
    ask.hosts = vec![host.clone()];
    ask.want = Some(Want::Job);
    ask.id = id;
    ask.confirm = Some(nonce.to_owned());
    fresh.publish_signed(Purpose::Query, DISCOVER, None, ask.encode()).await?;
    // The NATS server answers in order: it has read what came before.
    fresh.ping(DELIVERED).await?;
    Ok(())
}
