//! A rollout as its runner describes it: the batches, what is sent, and whether the runner is alive.

use crate::protocol::{Name, RolloutState, RolloutStatus};
use jiff::{SignedDuration, Timestamp};
use std::collections::HashMap;

/// The most hosts of a rollout that are kept.
const MAX_HOSTS: usize = 20_000;
/// Number of missing heartbeats after which the runner counts as lost, and the shortest time for that.
const MISSED: u64 = 3;
const MIN_SILENCE: SignedDuration = SignedDuration::from_secs(10);
/// The longest heartbeat that is believed, in seconds.
const MAX_HEARTBEAT: u64 = 60;

/// A rollout that its runner has described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownRollout {
    /// The last status, without hosts.
    pub status: RolloutStatus,
    /// When the last status arrived, by our clock.
    pub last_heard: Timestamp,
    /// Whether it was read from the file of a process that has died.
    pub is_interrupted: bool,
    /// The hosts that are known so far, each with its position.
    positions: HashMap<Name, u64>,
}

impl KnownRollout {
    /// A rollout after its first status.
    pub fn new(status: RolloutStatus, now: Timestamp) -> Self {
        let mut rollout = Self {
            status: status.clone(),
            last_heard: now,
            is_interrupted: false,
            positions: HashMap::new(),
        };
        rollout.apply(status, now);
        rollout
    }

    /// A rollout whose process has died after this status.
    pub fn interrupted(status: RolloutStatus) -> Self {
        let at = status.at;
        Self { is_interrupted: true, ..Self::new(status, at) }
    }

    /// Applies a newer status, which may have only a part of the hosts.
    pub fn apply(&mut self, mut status: RolloutStatus, now: Timestamp) {
        for (position, host) in (status.first..).zip(std::mem::take(&mut status.hosts)) {
            if self.positions.len() < MAX_HOSTS || self.positions.contains_key(&host) {
                self.positions.insert(host, position);
            }
        }
        (self.status, self.last_heard, self.is_interrupted) = (status, now, false);
    }

    /// All known hosts.
    pub fn hosts(&self) -> impl Iterator<Item = &Name> {
        self.positions.keys()
    }

    /// The name of a known host.
    pub fn host(&self, host: &Name) -> Option<&Name> {
        self.positions.get_key_value(host).map(|(host, _)| host)
    }

    /// Number of the host's batch, from 0.
    pub fn batch_of(&self, host: &Name) -> Option<u64> {
        self.status.batch_at(*self.positions.get(host)?)
    }

    /// Whether the batch of the host was not sent.
    pub fn is_unsent(&self, host: &Name) -> bool {
        self.batch_of(host).is_some_and(|batch| batch >= self.status.sent_batches)
    }

    /// The known hosts of batches that were not sent, in sending order.
    pub fn unsent(&self) -> Vec<&Name> {
        let mut unsent: Vec<_> = self.positions.iter().filter(|(host, _)| self.is_unsent(host)).collect();
        unsent.sort_unstable_by_key(|(_, position)| **position);
        unsent.into_iter().map(|(host, _)| host).collect()
    }

    /// Whether batches may still be sent, as far as the runner has said.
    pub fn is_open(&self) -> bool {
        self.status.state.is_open()
    }

    /// Whether a heartbeat of the runner is overdue, so that it has probably ended.
    pub fn is_lost(&self, now: Timestamp) -> bool {
        let heartbeat =
            i64::try_from(self.status.heartbeat_s.clamp(1, MAX_HEARTBEAT) * MISSED).unwrap_or(i64::MAX);
        let silence = now.duration_since(self.last_heard);
        self.is_open()
            && (self.is_interrupted || silence > SignedDuration::from_secs(heartbeat).max(MIN_SILENCE))
    }

    /// Whether an operator or a limit holds further batches back.
    pub fn is_held(&self) -> bool {
        matches!(self.status.state, RolloutState::Paused | RolloutState::Stopped)
    }
}
