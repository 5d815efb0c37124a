//! The rollouts of all operators, and the commands of this console that wait for a reply.

use crate::fleet::KnownRollout;
use crate::protocol::{Id, RolloutCommand, RolloutState, RolloutStatus};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// The most rollouts that are remembered.
const MAX_REMEMBERED: usize = 200;
/// How long the process that runs a rollout may take to reply.
const REPLY_TIMEOUT: SignedDuration = SignedDuration::from_secs(6);

/// The rollouts that were announced.
#[derive(Debug, Default)]
pub struct Rollouts {
    known: BTreeMap<Id, KnownRollout>,
    pending: Vec<PendingControl>,
    /// Why the server does not let this key see rollouts.
    pub denied: Option<String>,
}

/// A command that waits for a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingControl {
    /// Id of the command.
    pub id: Id,
    /// The rollout.
    pub rollout: Id,
    /// What it does.
    pub command: RolloutCommand,
    /// When it was sent.
    pub sent_at: Timestamp,
}

impl Rollouts {
    /// The rollout of a deployment.
    pub fn get(&self, id: &Id) -> Option<&KnownRollout> {
        self.known.get(id)
    }

    /// All rollouts, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (&Id, &KnownRollout)> {
        self.known.iter()
    }

    /// Applies a status that arrived at `now`. Returns the pending command that it replies to.
    pub(super) fn apply(&mut self, status: RolloutStatus, now: Timestamp) -> Option<PendingControl> {
        let answer = status.answer.as_ref().map(|answer| answer.id.clone());
        match self.known.get_mut(&status.id) {
            Some(known) => known.apply(status, now),
            None => {
                if self.known.len() >= MAX_REMEMBERED {
                    // Ids sort by time; one that was removed while it is open comes back with its next status.
                    let ended =
                        self.known.iter().find(|(_, known)| !known.is_open()).map(|(id, _)| id.clone());
                    match ended {
                        Some(id) => drop(self.known.remove(&id)),
                        None => drop(self.known.pop_first()),
                    }
                }
                self.known.insert(status.id.clone(), KnownRollout::new(status, now));
            }
        }
        let at = self.pending.iter().position(|pending| Some(&pending.id) == answer.as_ref())?;
        Some(self.pending.remove(at))
    }

    /// Adds the rollouts of processes that have died, unless they are known.
    pub(super) fn restore(&mut self, interrupted: Vec<RolloutStatus>) {
        for status in interrupted {
            self.known.entry(status.id.clone()).or_insert_with(|| KnownRollout::interrupted(status));
        }
    }

    /// Ends a rollout whose process has died.
    pub(super) fn end(&mut self, id: &Id, reason: String) {
        if let Some(known) = self.known.get_mut(id) {
            (known.status.state, known.status.reason) = (RolloutState::Ended, Some(reason));
        }
    }

    /// Remembers a command until its reply.
    pub(super) fn expect_reply(&mut self, pending: PendingControl) {
        self.pending.push(pending);
    }

    /// Removes the commands that have waited too long for a reply.
    pub(super) fn take_unanswered(&mut self, now: Timestamp) -> Vec<PendingControl> {
        let is_late = |pending: &mut PendingControl| now.duration_since(pending.sent_at) > REPLY_TIMEOUT;
        self.pending.extract_if(.., is_late).collect()
    }

    /// Forgets how long runners were silent, because nothing could arrive.
    pub(super) fn restart_silence(&mut self, now: Timestamp) {
        let running = self.known.values_mut().filter(|known| !known.is_interrupted);
        running.for_each(|known| known.last_heard = now);
    }
}
