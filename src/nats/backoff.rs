//! The pauses between attempts to connect, and how often the replacement of connections is logged.

use std::time::Duration;
use tokio::time::Instant;

/// A connection that lived this long is replaced without a backoff: a malformed message once a second costs only
/// milliseconds.
const STABLE_AFTER: Duration = Duration::from_millis(500);
/// The maximum pause, so that a new connection exists within a second.
const MAX_PAUSE: Duration = Duration::from_millis(800);
/// The maximum first pause. It spreads the reconnects of a fleet whose connections ended together.
const FIRST_PAUSE: Duration = Duration::from_millis(25);
/// The maximum pause between two attempts to reach a server.
const MAX_DELAY: Duration = Duration::from_secs(10);
/// The minimum interval between log lines about ended connections.
const LOG_INTERVAL: Duration = Duration::from_mins(1);

/// The backoff of a connection and its successors.
#[derive(Debug)]
pub(super) struct ReconnectBackoff {
    connected_at: Instant,
    /// The number of consecutive short-lived connections.
    short_lived: u32,
    /// The number of ended connections that are not logged yet.
    unlogged: u64,
    logged_at: Option<Instant>,
}

impl ReconnectBackoff {
    pub(super) fn new(now: Instant) -> Self {
        Self { connected_at: now, short_lived: 0, unlogged: 0, logged_at: None }
    }

    /// Records the end of a connection, and returns the pause before the next one.
    pub(super) fn next_pause(&mut self, now: Instant) -> Duration {
        self.unlogged += 1;
        let is_stable = now.duration_since(self.connected_at) >= STABLE_AFTER;
        self.short_lived = if is_stable { 0 } else { self.short_lived + 1 };
        let longest = (FIRST_PAUSE * 2_u32.pow(self.short_lived.min(10))).min(MAX_PAUSE);
        let pause = longest.mul_f64(0.5 + fastrand::f64() / 2.0);
        self.connected_at = now + pause;
        pause
    }

    /// When the unlogged connections will be logged: a minute after the last log line.
    pub(super) fn log_at(&self) -> Instant {
        let never = Instant::now() + Duration::from_hours(24);
        self.logged_at.filter(|_| self.unlogged > 0).map_or(never, |at| at + LOG_INTERVAL)
    }

    /// Logs the number of ended connections, at most once a minute.
    pub(super) fn log(&mut self, reason: Option<&str>) {
        let now = Instant::now();
        if self.logged_at.is_some_and(|at| now < at + LOG_INTERVAL) {
            return;
        }
        let times = self.unlogged;
        tracing::warn!(times, reason, "connection ended by a malformed message, reconnecting");
        (self.unlogged, self.logged_at) = (0, Some(now));
    }
}

/// Returns a delay that grows to [`MAX_DELAY`], with jitter so that a fleet does not reconnect all at once. Only the
/// first attempt of a client has no delay.
pub(super) fn reconnect_delay(attempts: usize, first: bool) -> Duration {
    if first && attempts <= 1 {
        return Duration::ZERO;
    }
    let step = u32::try_from(attempts.saturating_sub(1)).unwrap_or(u32::MAX).min(10);
    let longest = (Duration::from_millis(250) * 2_u32.pow(step)).min(MAX_DELAY);
    longest.mul_f64(0.5 + fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::{FIRST_PAUSE, ReconnectBackoff};
    use std::time::Duration;
    use tokio::time::Instant;

    #[test]
    fn a_stable_connection_is_replaced_at_once_and_others_with_growing_pauses_below_a_second() {
        let mut now = Instant::now();
        let mut backoff = ReconnectBackoff::new(now);
        for _ in 0..100 {
            now += Duration::from_millis(900);
            assert!(backoff.next_pause(now) <= FIRST_PAUSE);
        }
        let mut pauses = Vec::new();
        for _ in 0..100 {
            let pause = backoff.next_pause(now);
            now += pause + Duration::from_millis(5);
            pauses.push(pause);
        }
        assert!(pauses[0] <= FIRST_PAUSE * 2, "{pauses:?}");
        assert!(pauses[10..].iter().all(|pause| (400..=800).contains(&pause.as_millis())), "{pauses:?}");
        now += Duration::from_secs(1);
        assert!(backoff.next_pause(now) <= FIRST_PAUSE);
    }
}
