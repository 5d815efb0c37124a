//! How fast ended connections are replaced, and how often that is logged.

use std::time::Duration;
use tokio::time::Instant;

/// A connection that lived so long is replaced without delay: one malformed message a second costs milliseconds.
const SETTLED: Duration = Duration::from_millis(500);
/// The longest pause, so that a new connection is there within a second.
const LONGEST: Duration = Duration::from_millis(800);
/// The first pause at most. It keeps a fleet whose connections end together from returning at the same moment.
const FIRST: Duration = Duration::from_millis(25);
/// How often it is logged that connections end.
const FOLDED: Duration = Duration::from_mins(1);

/// The pace of one connection and its successors.
#[derive(Debug)]
pub(super) struct Pace {
    began: Instant,
    /// How many in a row did not live long.
    short_lived: u32,
    /// How many ended that were not logged yet.
    unlogged: u64,
    logged_at: Option<Instant>,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self { began: now, short_lived: 0, unlogged: 0, logged_at: None }
    }

    /// Notes that a connection has ended, and gives the pause before the next one.
    pub(super) fn ended(&mut self, now: Instant) -> Duration {
        self.unlogged += 1;
        let settled = now.duration_since(self.began) >= SETTLED;
        self.short_lived = if settled { 0 } else { self.short_lived + 1 };
        let longest = (FIRST * 2_u32.pow(self.short_lived.min(10))).min(LONGEST);
        let pause = longest.mul_f64(0.5 + fastrand::f64() / 2.0);
        self.began = now + pause;
        pause
    }

    /// When what was not logged is to be logged: a minute after the last time.
    pub(super) fn report_at(&self) -> Instant {
        let far = Instant::now() + Duration::from_hours(24);
        self.logged_at.filter(|_| self.unlogged > 0).map_or(far, |at| at + FOLDED)
    }

    /// Logs what was not logged yet, once a minute at most.
    pub(super) fn report(&mut self, reason: Option<&str>) {
        let now = Instant::now();
        if self.logged_at.is_some_and(|at| now < at + FOLDED) {
            return;
        }
        let times = self.unlogged;
        tracing::warn!(times, reason, "connection ended by a malformed message, reconnecting");
        (self.unlogged, self.logged_at) = (0, Some(now));
    }
}

#[cfg(test)]
mod tests {
    use super::{FIRST, Pace};
    use std::time::Duration;
    use tokio::time::Instant;

    #[test]
    fn a_connection_that_lived_is_replaced_at_once_and_others_ever_slower_but_within_a_second() {
        let mut now = Instant::now();
        let mut pace = Pace::new(now);
        for _ in 0..100 {
            now += Duration::from_millis(900);
            assert!(pace.ended(now) <= FIRST);
        }
        let mut pauses = Vec::new();
        for _ in 0..100 {
            let pause = pace.ended(now);
            now += pause + Duration::from_millis(5);
            pauses.push(pause);
        }
        assert!(pauses[0] <= FIRST * 2, "{pauses:?}");
        assert!(pauses[10..].iter().all(|pause| (400..=800).contains(&pause.as_millis())), "{pauses:?}");
        now += Duration::from_secs(1);
        assert!(pace.ended(now) <= FIRST);
    }
}
