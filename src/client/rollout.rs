//! The batch engine: a pure decision about what to send next. The caller handles time and messages.

use super::BatchKind;
use crate::protocol::{RolloutCommand, RolloutState};
use crate::text::{format, printable};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Range;
use std::time::Duration;

/// One batch of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// The kind of batch.
    pub kind: BatchKind,
    /// Its requests, as a range of the plan's requests.
    pub requests: Range<usize>,
}

/// The batches of a plan and their progress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollout {
    batches: Vec<Batch>,
    max_failures: usize,
    pause: Duration,
    sent: usize,
    aborted: bool,
    paused: bool,
    /// Why no further batch is sent at the moment, after all sent requests have results.
    stopped: Option<StopReason>,
    /// Whether a rollout that a limit has stopped waits for an operator, instead of ending.
    waits_at_limit: bool,
    /// Who paused or aborted it.
    decision: Option<String>,
    /// The failures after which an operator continued; they no longer count. `None` before that.
    accepted_failures: Option<usize>,
}

/// The state of a request that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestState {
    /// Not all of its hosts have a result.
    Pending,
    /// No host failed.
    Passed,
    /// An operator cancelled the job of one of its hosts, and no host failed.
    Cancelled,
    /// One of its hosts failed, rejected the request, or vanished.
    Failed,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RolloutStep {
    /// Wait for results.
    Wait,
    /// Wait until the operator continues.
    Paused,
    /// Send the next batch, after a pause if it is not the first.
    Send {
        /// The pause before sending.
        after: Duration,
    },
    /// All batches have results.
    Done,
    /// Send nothing more, although batches are left.
    Stop(StopReason),
}

/// Why no further batch starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "reason")]
pub enum StopReason {
    /// A canary did not complete.
    Canary,
    /// More hosts failed or were cancelled than allowed.
    Failures {
        /// Number of failed hosts.
        failed: usize,
        /// Number of hosts whose job an operator cancelled.
        #[serde(default, skip_serializing_if = "is_zero")]
        cancelled: usize,
        /// Number of allowed failures.
        allowed: usize,
    },
    /// The operator aborted the rollout.
    Aborted,
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Canary => f.write_str("the canary did not complete"),
            Self::Failures { failed, cancelled, allowed } => {
                let allowed = if *allowed == 0 { "none".to_owned() } else { allowed.to_string() };
                let hosts = |count: &usize| format::count(*count, "host");
                match (failed, cancelled) {
                    (_, 0) => write!(f, "{} failed", hosts(failed))?,
                    (0, _) => write!(f, "{} cancelled", hosts(cancelled))?,
                    _ => write!(f, "{} failed, {cancelled} cancelled", hosts(failed))?,
                }
                write!(f, " ({allowed} allowed)")
            }
            Self::Aborted => f.write_str("it was aborted"),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl Rollout {
    /// A single batch with all requests.
    pub(super) fn all_at_once(requests: usize) -> Self {
        let all = Batch { kind: BatchKind::Batch, requests: 0..requests };
        Self::new(vec![all], 0, Duration::ZERO)
    }

    /// A rollout of these batches, whose ranges must be contiguous. It stops once more than `max_failures` requests have
    /// failed or were cancelled.
    pub fn new(batches: Vec<Batch>, max_failures: usize, pause: Duration) -> Self {
        Self {
            batches,
            max_failures,
            pause,
            sent: 0,
            aborted: false,
            paused: false,
            stopped: None,
            waits_at_limit: false,
            decision: None,
            accepted_failures: None,
        }
    }

    /// Removes requests, and batches that become empty.
    pub(super) fn retain(&mut self, keep: impl Fn(usize) -> bool) {
        let mut from = 0;
        for batch in &mut self.batches {
            let left = batch.requests.clone().filter(|request| keep(*request)).count();
            batch.requests = from..from + left;
            from += left;
        }
        self.batches.retain(|batch| !batch.requests.is_empty());
    }

    /// The next step, given the states of the requests that were sent.
    pub fn next_step(&self, state: impl Fn(usize) -> RequestState) -> RolloutStep {
        let sent = self.sent_requests();
        let (mut failed, mut cancelled) = (0, 0);
        for request in 0..sent {
            match state(request) {
                RequestState::Pending => return RolloutStep::Wait,
                RequestState::Passed => {}
                RequestState::Cancelled => cancelled += 1,
                RequestState::Failed => failed += 1,
            }
        }
        if self.sent == self.batches.len() {
            return RolloutStep::Done;
        }
        let canaries = self.batches.first().filter(|batch| batch.kind == BatchKind::Canary && self.sent > 0);
        let canary_failed =
            canaries.is_some_and(|batch| batch.requests.clone().any(|at| state(at) != RequestState::Passed));
        let allowed = self.max_failures + self.accepted_failures.unwrap_or(0);
        if self.aborted {
            RolloutStep::Stop(StopReason::Aborted)
        } else if canary_failed && self.accepted_failures.is_none() {
            RolloutStep::Stop(StopReason::Canary)
        } else if failed + cancelled > allowed {
            RolloutStep::Stop(StopReason::Failures { failed, cancelled, allowed })
        } else if self.paused {
            RolloutStep::Paused
        } else {
            RolloutStep::Send { after: if self.sent == 0 { Duration::ZERO } else { self.pause } }
        }
    }

    /// Marks the next batch as sent and returns its requests.
    pub fn start_next_batch(&mut self) -> Range<usize> {
        let requests = self.batches.get(self.sent).map_or(0..0, |batch| batch.requests.clone());
        self.sent = self.batches.len().min(self.sent + 1);
        requests
    }

    /// Carries out an operator's command. `failed` is the number of hosts that failed or were cancelled so far. An error says why the
    /// command has no effect.
    pub fn apply(&mut self, command: &RolloutCommand, issuer: &str, failed: usize) -> Result<(), String> {
        let issuer = printable(issuer);
        match (command, self.state().0) {
            (_, RolloutState::Done) => return Err("all batches were already sent".to_owned()),
            (_, RolloutState::Ended) => return Err("the rollout has already ended".to_owned()),
            (RolloutCommand::Abort, _) => self.abort(format!("aborted by {issuer}")),
            (RolloutCommand::Pause, RolloutState::Running) => {
                (self.paused, self.decision) = (true, Some(format!("paused by {issuer}")));
            }
            (RolloutCommand::Pause, state) => return Err(format!("the rollout is already {state}")),
            (RolloutCommand::Continue, RolloutState::Running) => {
                return Err("the rollout is not paused".to_owned());
            }
            (RolloutCommand::Continue, _) => {
                (self.paused, self.decision) = (false, None);
                if self.stopped.take().is_some() {
                    self.accepted_failures = Some(failed);
                }
            }
            (RolloutCommand::Other(command), _) => {
                return Err(format!("unknown command {:?}", printable(command)));
            }
        }
        Ok(())
    }

    /// Prevents further batches, for this reason.
    pub fn abort(&mut self, reason: String) {
        (self.aborted, self.stopped, self.decision) = (true, None, Some(reason));
    }

    /// If a limit stops the rollout, it waits for an operator to continue or abort it, instead of ending.
    pub fn wait_at_limit(&mut self) {
        self.waits_at_limit = true;
    }

    /// Records that no further batch is sent; returns whether the rollout waits for an operator.
    pub(super) fn stop(&mut self, reason: StopReason) -> bool {
        self.stopped = Some(reason);
        self.waits_at_limit && reason != StopReason::Aborted
    }

    /// Why no further batch is sent, after all sent requests have results.
    pub fn stopped(&self) -> Option<StopReason> {
        self.stopped
    }

    /// Whether it waits for an operator.
    pub fn is_held(&self) -> bool {
        self.paused || self.stopped.is_some()
    }

    /// Whether batches are still sent, and why not.
    pub fn state(&self) -> (RolloutState, Option<String>) {
        if self.sent == self.batches.len() {
            (RolloutState::Done, None)
        } else if self.aborted {
            (RolloutState::Ended, self.decision.clone())
        } else if let Some(stopped) = self.stopped {
            let state = if self.waits_at_limit { RolloutState::Stopped } else { RolloutState::Ended };
            (state, Some(stopped.to_string()))
        } else if self.paused {
            (RolloutState::Paused, self.decision.clone())
        } else {
            (RolloutState::Running, None)
        }
    }

    /// The number of hosts that may fail before the rollout stops.
    pub fn max_failures(&self) -> usize {
        self.max_failures
    }

    /// The pause between two batches.
    pub fn pause(&self) -> Duration {
        self.pause
    }

    /// All batches.
    pub fn batches(&self) -> &[Batch] {
        &self.batches
    }

    /// Number of batches that were sent.
    pub fn sent_batches(&self) -> usize {
        self.sent
    }

    /// Number of requests that were sent.
    pub fn sent_requests(&self) -> usize {
        self.batches[..self.sent].last().map_or(0, |batch| batch.requests.end)
    }

    /// The requests of the last batch that was sent.
    pub fn current_requests(&self) -> Range<usize> {
        self.batches[..self.sent].last().map_or(0..0, |batch| batch.requests.clone())
    }
}
