//! When to query a host for a log: at once, again if the reply is late, and at an interval.

use std::time::Duration;
use tokio::time::Instant;

/// Maximum time for a reply, and the pause before a fruitless query is repeated.
const REPLY_TIMEOUT: Duration = Duration::from_secs(2);
/// Interval of the query for a log that seems complete, to detect lost messages.
const POLL_INTERVAL: Duration = Duration::from_secs(15);
/// Number of consecutive replies that may leave a gap open before the next query is delayed.
const MAX_FRUITLESS_REPLIES: u32 = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PollState {
    /// Send the query as soon as the connection is up.
    Due,
    Pending,
    Idle {
        until: Instant,
    },
}

/// The state of a repeated query.
#[derive(Debug)]
pub(super) struct LogPoll {
    state: PollState,
    asked_at: Instant,
    /// Whether something arrived after the query was sent, which the reply may not contain.
    poll_again: bool,
    fruitless_replies: u32,
}

impl LogPoll {
    pub(super) fn new() -> Self {
        Self { state: PollState::Due, asked_at: Instant::now(), poll_again: false, fruitless_replies: 0 }
    }

    pub(super) fn is_due(&self) -> bool {
        self.state == PollState::Due
    }

    /// Whether a reply is pending.
    pub(super) fn is_pending(&self) -> bool {
        self.state == PollState::Pending
    }

    /// When to call [`LogPoll::set_due`].
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.state {
            PollState::Due => None,
            PollState::Pending => Some(self.asked_at + REPLY_TIMEOUT),
            PollState::Idle { until } => Some(until),
        }
    }

    /// Makes the query due, because its time has come or an earlier query was lost.
    pub(super) fn set_due(&mut self) {
        self.state = PollState::Due;
    }

    /// Requests a query because new data is available.
    pub(super) fn request(&mut self) {
        match self.state {
            PollState::Due => {}
            PollState::Pending => self.poll_again = true,
            PollState::Idle { until } => self.state = self.next_state(until),
        }
    }

    pub(super) fn on_sent(&mut self) {
        (self.state, self.asked_at, self.poll_again) = (PollState::Pending, Instant::now(), false);
    }

    /// Handles a reply. `more` is whether the next query is known to return data, `is_complete` whether nothing is
    /// missing.
    pub(super) fn on_reply(&mut self, more: bool, is_complete: bool) {
        self.fruitless_replies =
            if more || is_complete { 0 } else { self.fruitless_replies.saturating_add(1) };
        let until = Instant::now() + POLL_INTERVAL;
        self.state = if more || self.poll_again || !is_complete {
            self.next_state(until)
        } else {
            PollState::Idle { until }
        };
    }

    /// Handles a missing or useless reply.
    pub(super) fn on_timeout(&mut self) {
        self.fruitless_replies = MAX_FRUITLESS_REPLIES;
        self.state = PollState::Idle { until: Instant::now() + POLL_INTERVAL };
    }

    fn next_state(&self, until: Instant) -> PollState {
        if self.fruitless_replies < MAX_FRUITLESS_REPLIES {
            return PollState::Due;
        }
        PollState::Idle { until: until.min(self.asked_at + REPLY_TIMEOUT) }
    }
}
