//! Round trips to the server, which show that it is alive and has read everything that was sent.

use super::NatsError;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

/// Sends pings through a subscription that has ended.
///
/// The client library's `flush` only hands bytes to the operating system, and there is no ping method. But ending a
/// subscription writes a PING, even if it has already ended, and the library's statistics count the bytes of the PONG.
pub(super) struct Pinger {
    subject: String,
    ended: Mutex<Option<async_nats::Subscriber>>,
}

impl Pinger {
    pub(super) fn new(subject: String) -> Self {
        Self { subject, ended: Mutex::new(None) }
    }

    /// The time until the server has replied. `client` is called once no other ping is under way; `is_connected` is
    /// whether the connection still exists.
    pub(super) async fn round_trip(
        &self,
        client: impl FnOnce() -> Arc<async_nats::Client>,
        is_connected: impl Fn() -> bool,
    ) -> Result<Duration, NatsError> {
        let gone = || NatsError::Disconnected { reason: Some("the connection was closed".to_owned()) };
        let mut ended = self.ended.lock().await;
        let client = client();
        let fresh = || client.subscribe(self.subject.clone());
        let subscriber = match &mut *ended {
            Some(subscriber) => subscriber,
            none => none.insert(fresh().await.map_err(|_| gone())?),
        };
        let statistics = client.statistics();
        let seen =
            || (statistics.in_bytes.load(Ordering::Relaxed), statistics.in_messages.load(Ordering::Relaxed));
        for round in 1.. {
            let started = Instant::now();
            let (bytes, messages) = seen();
            if subscriber.drain().await.is_err() {
                // The subscriber belongs to a replaced connection.
                *subscriber = fresh().await.map_err(|_| gone())?;
                subscriber.drain().await.map_err(|_| gone())?;
            }
            while seen().0 == bytes {
                if !is_connected() {
                    return Err(gone());
                }
                sleep(Duration::from_millis(1)).await;
            }
            if seen().1 == messages || round == 3 {
                // The connection's task forwards permission violations right after it reads them.
                tokio::task::yield_now().await;
                return Ok(started.elapsed());
            }
        }
        Err(gone())
    }
}
