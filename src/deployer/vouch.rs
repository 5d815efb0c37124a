//! Lets hosts hear this client over a fresh connection. A host that runs the NATS server needs that: it reaches the server
//! whatever becomes of the network.

use crate::bus::{Bus, ConnectError, LinkError};
use crate::protocol::{Ask, DISCOVER, DeployReport, Id, Name, ReplyTo, Want};
use std::time::Duration;
use tokio::time::sleep;

/// How long the NATS server may take to read what was sent.
const DELIVERED: Duration = Duration::from_secs(5);

/// How often it is tried, and the pause between: the server may be away for a moment.
const ATTEMPTS: u32 = 30;
const PAUSE: Duration = Duration::from_secs(1);

/// Answers hosts whose reports ask to hear another client.
pub(super) struct Voucher {
    bus: Bus,
    /// The last answer for each host, by the host and the nonce of its report.
    last: Vec<(Name, String)>,
}

impl Voucher {
    pub(super) fn new(bus: Bus) -> Self {
        Self { bus, last: Vec::new() }
    }

    /// Answers a report that asks for it, once.
    pub(super) fn look(&mut self, report: &DeployReport) {
        let Some(nonce) = report.confirm.as_ref().map(|nonce| nonce.as_str().to_owned()) else { return };
        let asked = (report.hostname.clone(), nonce);
        if self.last.contains(&asked) {
            return;
        }
        self.last.retain(|(host, _)| *host != asked.0);
        self.last.push(asked.clone());
        let (bus, id) = (self.bus.clone(), report.id.clone());
        tokio::spawn(async move {
            let (host, nonce) = asked;
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
    fresh.publish(DISCOVER, ask.encode()).await?;
    // The NATS server answers in order: it has read what came before.
    fresh.ping(DELIVERED).await?;
    Ok(())
}
