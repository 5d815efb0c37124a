//! Round trips: whether the server still answers, and that it has read all we sent.

use super::{Bus, LinkError};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

/// Sends pings by way of a subscription that has ended.
///
/// The client library's `flush` only hands bytes to the operating system, and it offers no ping. But ending a
/// subscription writes a PING, also when it has ended before, and its statistics count the bytes of the PONG.
pub(super) struct Pinger {
    subject: String,
    ended: Mutex<Option<async_nats::Subscriber>>,
}

impl Pinger {
    pub(super) fn new(subject: String) -> Self {
        Self { subject, ended: Mutex::new(None) }
    }
}

impl Bus {
    /// Waits until the server has answered a ping, and gives how long that took. The server has then read all that
    /// was published before, and its refusals of it have arrived.
    ///
    /// On a busy link an answer cannot be told from other traffic; three pings that were each followed by some
    /// count as answered.
    pub async fn ping(&self, within: Duration) -> Result<Duration, LinkError> {
        self.ready().await?;
        let connects = self.link.borrow().connects;
        let answered =
            timeout(within, self.rounds(connects)).await.map_err(|_| LinkError::NoAnswer { within })?;
        let link = self.link.borrow();
        if !link.up || link.connects != connects {
            return Err(LinkError::Down { reason: link.reason.clone() });
        }
        answered
    }

    /// Waits until the server answers a ping, also over a connection that replaces one which ended meanwhile. What was
    /// published before has arrived only if none did.
    pub async fn reach(&self, within: Duration) -> Result<Duration, LinkError> {
        let until = Instant::now() + within;
        loop {
            let ended = self.link.borrow().ended;
            match self.ping(until.saturating_duration_since(Instant::now())).await {
                Err(LinkError::Down { .. })
                    if self.link.borrow().ended != ended && Instant::now() < until => {}
                other => return other,
            }
        }
    }

    async fn rounds(&self, connects: u64) -> Result<Duration, LinkError> {
        let gone = || LinkError::Down { reason: Some("the connection was closed".to_owned()) };
        let mut ended = self.pinger.ended.lock().await;
        let client = self.supervised.client();
        let fresh = || client.subscribe(self.pinger.subject.clone());
        let subscriber = match &mut *ended {
            Some(subscriber) => subscriber,
            none => none.insert(fresh().await.map_err(|_| gone())?),
        };
        let statistics = client.statistics();
        let seen =
            || (statistics.in_bytes.load(Ordering::Relaxed), statistics.in_messages.load(Ordering::Relaxed));
        for round in 1.. {
            let begun = Instant::now();
            let (bytes, messages) = seen();
            if subscriber.drain().await.is_err() {
                // It is one of a connection that was replaced.
                *subscriber = fresh().await.map_err(|_| gone())?;
                subscriber.drain().await.map_err(|_| gone())?;
            }
            while seen().0 == bytes {
                if self.link.borrow().connects != connects {
                    return Err(gone());
                }
                sleep(Duration::from_millis(1)).await;
            }
            if seen().1 == messages || round == 3 {
                // The connection's task hands refusals on right after it has read them.
                tokio::task::yield_now().await;
                return Ok(begun.elapsed());
            }
        }
        Err(gone())
    }
}
