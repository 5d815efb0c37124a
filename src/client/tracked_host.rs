//! One host of a deployment: when it was sent a request, queried or given up.

use crate::protocol::{DeployReport, Id, REQUEST_LIFETIME};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;
use tokio::time::Instant;

/// Maximum time for a host to acknowledge a request.
pub(super) const SILENCE: Duration = Duration::from_secs(5);
/// Time after which a silent host is queried for the first time.
const FIRST_QUERY_AFTER: Duration = Duration::from_secs(2);
/// Interval between queries to a host that has reported.
const QUERY_INTERVAL: Duration = Duration::from_secs(15);
/// Interval between queries to a host that has not reported.
const SILENT_QUERY_INTERVAL: Duration = Duration::from_secs(1);
/// Minimum age of a request before it is resent: a younger one may still be in transit.
const MIN_RESEND_AGE: Duration = Duration::from_secs(1);
/// How often a request is resent to a host that does not know it.
const MAX_RESENDS: u32 = 3;

/// What is remembered of a host while its deployment is followed.
#[derive(Debug, Clone)]
pub(super) struct TrackedHost {
    /// The id of the last request to it.
    pub(super) id: Id,
    /// Index of its request; `None` for a host that was not expected.
    request: Option<usize>,
    /// Whether the request was resent with times by the host's clock.
    resent_by_host_clock: bool,
    /// Whether it counts as silent.
    pub(super) given_up: bool,
    /// Whether the server refused its request.
    pub(super) is_refused: bool,
    sent: Instant,
    asked: Option<Instant>,
    /// How often the request was resent under the same id.
    resent: u32,
}

impl TrackedHost {
    pub(super) fn new(id: Id, request: Option<usize>) -> Self {
        Self {
            id,
            request,
            resent_by_host_clock: false,
            given_up: false,
            is_refused: false,
            sent: Instant::now(),
            asked: None,
            resent: 0,
        }
    }

    /// A host whose request was resent with times by its clock.
    pub(super) fn resent_by_host_clock(id: Id, request: usize) -> Self {
        Self { resent_by_host_clock: true, ..Self::new(id, Some(request)) }
    }

    /// Whether it was queried before.
    pub(super) fn was_asked(&self) -> bool {
        self.asked.is_some()
    }

    /// Whether to query it now. `overdue` is whether heartbeats are missing; `None` if the host has not reported at
    /// all.
    pub(super) fn should_ask(&mut self, overdue: Option<bool>) -> bool {
        if self.is_refused {
            return false;
        }
        let due = match overdue {
            Some(overdue) => overdue,
            None => {
                self.given_up = self.sent.elapsed() > SILENCE;
                !self.given_up && self.sent.elapsed() > FIRST_QUERY_AFTER
            }
        };
        let pause = if overdue.is_none() { SILENT_QUERY_INTERVAL } else { QUERY_INTERVAL };
        let query = due && self.asked.is_none_or(|asked| asked.elapsed() > pause);
        if query {
            self.asked = Some(Instant::now());
        }
        query
    }

    /// Time since the request was sent.
    pub(super) fn sent_elapsed(&self) -> Duration {
        self.sent.elapsed()
    }

    /// The request to resend to a host that does not know it.
    pub(super) fn may_resend(&mut self) -> Option<usize> {
        let request =
            self.request.filter(|_| self.resent < MAX_RESENDS && self.sent.elapsed() > MIN_RESEND_AGE)?;
        self.resent += 1;
        self.sent = Instant::now();
        Some(request)
    }

    /// The request to resend and how far the host's clock is ahead of ours, if that is the only explanation for
    /// `expired`.
    pub(super) fn clock_difference(
        &self,
        report: &DeployReport,
        now: Timestamp,
    ) -> Option<(usize, SignedDuration)> {
        let ahead = report.at?.duration_since(now);
        let request = self.request?;
        // A request that has not expired by our clock can only have expired by a different one.
        let is_alive = self.sent.elapsed() < REQUEST_LIFETIME.unsigned_abs();
        (!self.resent_by_host_clock && is_alive).then_some((request, ahead))
    }
}
