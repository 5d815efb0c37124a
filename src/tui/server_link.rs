//! Whether the NATS server answers. While it does not, the state of the fleet is that of its last answer.

use jiff::{SignedDuration, Timestamp};

/// How long the server may be silent. It is pinged every 2 s, and a slow connection may need another second or two.
const MAX_SILENCE: SignedDuration = SignedDuration::from_secs(5);

/// The last answer of the server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ServerLink {
    /// When the last answer or message arrived.
    last_answer: Option<Timestamp>,
    /// Time of the last known state, while the server does not answer.
    lost_at: Option<Timestamp>,
}

impl ServerLink {
    /// Records an answer or a message. If the server had not answered before, returns the time from its last answer on.
    pub(super) fn record_answer(&mut self, at: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let last = self.last_answer.replace(self.last_answer.map_or(at, |last| last.max(at)));
        // A computer that slept receives its next answer before it notices the silence.
        let silent = last.filter(|last| at.duration_since(*last) > MAX_SILENCE);
        let since = self.lost_at.take().or(silent)?;
        (since < at).then_some((since, at))
    }

    /// Records that the connection has ended.
    pub(super) fn record_loss(&mut self, at: Timestamp) {
        if self.last_answer.is_some() {
            self.lost_at.get_or_insert(at);
        }
    }

    /// Notices that the server is silent.
    pub(super) fn check(&mut self, now: Timestamp) {
        if let Some(last) = self.last_answer.filter(|last| now.duration_since(*last) > MAX_SILENCE) {
            self.lost_at.get_or_insert(last);
        }
    }

    /// Time of the last known state, while the server does not answer.
    pub fn lost_at(&self) -> Option<Timestamp> {
        self.lost_at
    }

    /// How long the server has been silent; `None` before its first answer.
    pub fn silence(&self, now: Timestamp) -> Option<SignedDuration> {
        Some(now.duration_since(self.last_answer?))
    }
}
