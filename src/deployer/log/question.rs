//! When a host is asked for a log: at once, again once the answer is late, and from time to time.

use std::time::Duration;
use tokio::time::Instant;

/// How long an answer may take, and the pause before what has helped nothing is asked again.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often a log that seems told is asked for, so that a lost message is noticed.
const POLL: Duration = Duration::from_secs(15);
/// So many answers in a row may leave a gap open before the next question waits.
const IN_VAIN: u32 = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// To be asked as soon as the link is up.
    Due,
    Asked,
    Rests {
        until: Instant,
    },
}

/// The question that is asked over and over.
#[derive(Debug)]
pub(super) struct Question {
    state: State,
    asked_at: Instant,
    /// Something came after it was asked, of which the answer may not know.
    again: bool,
    in_vain: u32,
}

impl Question {
    pub(super) fn new() -> Self {
        Self { state: State::Due, asked_at: Instant::now(), again: false, in_vain: 0 }
    }

    pub(super) fn is_due(&self) -> bool {
        self.state == State::Due
    }

    /// Whether an answer is waited for.
    pub(super) fn is_open(&self) -> bool {
        self.state == State::Asked
    }

    /// When to call [`Question::pass`].
    pub(super) fn alarm(&self) -> Option<Instant> {
        match self.state {
            State::Due => None,
            State::Asked => Some(self.asked_at + PATIENCE),
            State::Rests { until } => Some(until),
        }
    }

    /// The time has come to ask, or an earlier question has got lost.
    pub(super) fn pass(&mut self) {
        self.state = State::Due;
    }

    /// There is something to ask for.
    pub(super) fn want(&mut self) {
        match self.state {
            State::Due => {}
            State::Asked => self.again = true,
            State::Rests { until } => self.state = self.soon(until),
        }
    }

    pub(super) fn asked(&mut self) {
        (self.state, self.asked_at, self.again) = (State::Asked, Instant::now(), false);
    }

    /// An answer came. `more` is whether the next one is known to bring something, `helped` whether nothing is missing
    /// any more.
    pub(super) fn answered(&mut self, more: bool, helped: bool) {
        self.in_vain = if more || helped { 0 } else { self.in_vain.saturating_add(1) };
        let until = Instant::now() + POLL;
        self.state = if more || self.again || !helped { self.soon(until) } else { State::Rests { until } };
    }

    /// No answer came, or none that helps.
    pub(super) fn unanswered(&mut self) {
        self.in_vain = IN_VAIN;
        self.state = State::Rests { until: Instant::now() + POLL };
    }

    fn soon(&self, until: Instant) -> State {
        if self.in_vain < IN_VAIN {
            return State::Due;
        }
        State::Rests { until: until.min(self.asked_at + PATIENCE) }
    }
}
