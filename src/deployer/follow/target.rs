//! One host of a deployment: when it was sent to, asked, or given up.

use crate::protocol::{DeployReport, Id};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;
use tokio::time::Instant;

/// How long a host may take to say that it has the request.
pub(super) const SILENCE: Duration = Duration::from_secs(5);
/// When a host that has said nothing is asked for the first time.
const FIRST_ASK: Duration = Duration::from_secs(2);
/// The pause between two questions.
const ASK_AGAIN: Duration = Duration::from_secs(15);
/// The pause between two questions to a host that has said nothing.
const ASK_SILENT: Duration = Duration::from_secs(1);
/// A request that is younger may still wait to be read.
const YOUNG: Duration = Duration::from_secs(1);
/// How often a request is sent again to a host that does not know it.
const RESENT: u32 = 3;
/// `expired` within this time of sending means that clocks differ.
const CLOCKS_DIFFER: Duration = Duration::from_mins(1);

/// What is remembered of one host while its deployment is followed.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// The id under which it was sent to last.
    pub(super) id: Id,
    /// The request that was meant for it; none for a host that joined by itself.
    parcel: Option<usize>,
    /// Whether it was sent to a second time, with shifted times.
    sent_again: bool,
    /// Whether it counts as silent.
    pub(super) given_up: bool,
    sent: Instant,
    asked: Option<Instant>,
    /// How often it was sent to again under the same id.
    resent: u32,
}

impl Target {
    pub(super) fn new(id: Id, parcel: Option<usize>) -> Self {
        Self { id, parcel, sent_again: false, given_up: false, sent: Instant::now(), asked: None, resent: 0 }
    }

    /// A host that was sent to a second time, with shifted times.
    pub(super) fn sent_again(id: Id, parcel: usize) -> Self {
        Self { sent_again: true, ..Self::new(id, Some(parcel)) }
    }

    /// Whether it was asked before.
    pub(super) fn was_asked(&self) -> bool {
        self.asked.is_some()
    }

    /// Whether to ask it now. `overdue` is whether its heartbeats are missing, where it has reported at all.
    pub(super) fn should_ask(&mut self, overdue: Option<bool>) -> bool {
        let due = match overdue {
            Some(overdue) => overdue,
            None => {
                self.given_up = self.sent.elapsed() > SILENCE;
                !self.given_up && self.sent.elapsed() > FIRST_ASK
            }
        };
        let pause = if overdue.is_none() { ASK_SILENT } else { ASK_AGAIN };
        let ask = due && self.asked.is_none_or(|asked| asked.elapsed() > pause);
        if ask {
            self.asked = Some(Instant::now());
        }
        ask
    }

    /// How long ago it was sent to.
    pub(super) fn sent_elapsed(&self) -> Duration {
        self.sent.elapsed()
    }

    /// The request to send again to a host that does not know it.
    pub(super) fn may_resend(&mut self) -> Option<usize> {
        let parcel = self.parcel.filter(|_| self.resent < RESENT && self.sent.elapsed() > YOUNG)?;
        self.resent += 1;
        self.sent = Instant::now();
        Some(parcel)
    }

    /// The request to repeat and by how much the host's clock is ahead of ours, where `expired` can only mean that.
    pub(super) fn may_send_again(
        &self,
        report: &DeployReport,
        now: Timestamp,
    ) -> Option<(usize, SignedDuration)> {
        let ahead = report.at?.duration_since(now);
        let parcel = self.parcel?;
        (!self.sent_again && self.sent.elapsed() < CLOCKS_DIFFER).then_some((parcel, ahead))
    }
}

/// A duration as a person says it: its two largest units.
pub(super) fn spoken(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (days, hours, minutes) = (seconds / 86400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}
