//! Rollouts: what the process that sends the batches publishes, and the commands that it accepts.

use super::codec::{self, WireError};
use super::open_enum::open_enum;
use super::report::truncate_string;
use super::{Action, Id, MAX_ENCODED, Name};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The pattern of all rollouts' statuses.
pub const ROLLOUTS: &str = "rollouts.status.*";
/// The pattern of all commands to rollouts.
pub const ROLLOUT_CONTROLS: &str = "rollouts.control.*";

/// The most bytes of a status that its part of the hosts may take.
const MAX_HOSTS: usize = MAX_ENCODED - 16 * 1024;

/// The subject of a rollout's status.
pub fn rollout_subject(id: &Id) -> String {
    format!("rollouts.status.{id}")
}

/// The subject of commands to a rollout.
pub fn rollout_control_subject(id: &Id) -> String {
    format!("rollouts.control.{id}")
}

/// Whether a subject belongs to rollouts.
pub fn is_rollout_subject(subject: &str) -> bool {
    subject.starts_with("rollouts.")
}

open_enum! {
    /// Whether a rollout still sends batches.
    RolloutState {
        /// Batches are sent as soon as they are due.
        Running = "running",
        /// An operator paused it; it can be continued.
        Paused = "paused",
        /// A limit stopped it; it can be continued.
        Stopped = "stopped",
        /// No further batch is sent, although some are left.
        Ended = "ended",
        /// All batches were sent.
        Done = "done",
    }
}

impl RolloutState {
    /// Whether batches may still be sent.
    pub fn is_open(&self) -> bool {
        !matches!(self, Self::Ended | Self::Done)
    }
}

open_enum! {
    /// A command to a rollout.
    RolloutCommand {
        /// Send no batch until continued.
        Pause = "pause",
        /// Continue after a pause, or past the limit that stopped it.
        Continue = "continue",
        /// Send no further batch.
        Abort = "abort",
    }
}

/// Consecutive batches of the same size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchRun {
    /// `canary`, `batch` or `nats_server`.
    pub kind: String,
    /// The number of hosts in each batch.
    pub hosts: u64,
    /// The number of batches.
    pub count: u64,
}

/// The reply to a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlAnswer {
    /// The id of the command.
    pub id: Id,
    /// Why it had no effect; absent if it had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The state of a rollout, as the process that sends its batches publishes it: at every change, and as a heartbeat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutStatus {
    /// The id of the deployment.
    pub id: Id,
    /// A random id of the process that sends the batches. It changes if another process takes over.
    pub runner: Id,
    /// The order of the messages of this process.
    pub seq: u64,
    /// When the message was made, by the sender's clock.
    pub at: Timestamp,
    /// The longest time between two messages, in seconds.
    pub heartbeat_s: u64,
    /// Whether batches are still sent.
    pub state: RolloutState,
    /// Why it is paused or stopped, or has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The name of the operator, for display.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// What is deployed.
    pub action: Action,
    /// The branch, tag or commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// The commit, if all hosts get the same one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// When the rollout started.
    pub started_at: Timestamp,
    /// The batches in sending order.
    #[serde(deserialize_with = "codec::list")]
    pub batches: Vec<BatchRun>,
    /// The number of batches that were sent.
    pub sent_batches: u64,
    /// The number of hosts that failed.
    #[serde(default, deserialize_with = "codec::null_as_default")]
    pub failed: u64,
    /// The number of hosts that may fail before the rollout stops.
    #[serde(default, deserialize_with = "codec::null_as_default")]
    pub max_failures: u64,
    /// When the next batch is sent, during the pause before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Timestamp>,
    /// The reply to the last command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<ControlAnswer>,
    /// The position of the first of `hosts` among all hosts of the rollout.
    #[serde(default, deserialize_with = "codec::null_as_default")]
    pub first: u64,
    /// Hosts in the order of their batches: all of them, or a part if they do not fit into one message. The parts
    /// follow one another.
    #[serde(default, deserialize_with = "codec::list", skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<Name>,
}

impl RolloutStatus {
    /// Parses a status.
    pub fn parse(payload: &[u8]) -> Result<Self, WireError> {
        codec::from_bytes(payload)
    }

    /// Encodes the status as JSON, in less than [`MAX_ENCODED`] bytes: long strings are truncated.
    pub fn encode(&self) -> Vec<u8> {
        codec::to_bounded_bytes(self, || self.shortened())
    }

    fn shortened(&self) -> Self {
        let mut status = self.clone();
        for text in [&mut status.reason, &mut status.issuer, &mut status.revision, &mut status.commit] {
            truncate_string(text, 512);
        }
        if let Some(answer) = &mut status.answer {
            truncate_string(&mut answer.error, 512);
        }
        status.batches.truncate(64);
        status
    }

    /// Sets the part of the hosts that starts at `first`, as many as fit. Returns where the next part starts: 0 after
    /// the last one.
    pub fn set_hosts(&mut self, all: &[Name], first: usize) -> usize {
        let mut left = MAX_HOSTS;
        let fits = |host: &&Name| {
            // Quotes and comma.
            let size = host.as_str().len() + 3;
            let fits = size <= left;
            left = left.saturating_sub(size);
            fits
        };
        let rest = all.get(first..).unwrap_or_default();
        self.hosts = rest.iter().take_while(fits).cloned().collect();
        self.first = u64::try_from(first).unwrap_or(u64::MAX);
        let next = first + self.hosts.len();
        if next >= all.len() { 0 } else { next }
    }

    /// The number of batches.
    pub fn batch_count(&self) -> u64 {
        self.batches.iter().fold(0, |sum, run| sum.saturating_add(run.count))
    }

    /// The number of hosts.
    pub fn host_count(&self) -> u64 {
        let hosts = |run: &BatchRun| run.hosts.saturating_mul(run.count);
        self.batches.iter().fold(0, |sum, run| sum.saturating_add(hosts(run)))
    }

    /// The kind of a batch, from 0.
    pub fn kind_of(&self, batch: u64) -> Option<&str> {
        let mut end = 0_u64;
        let run = self.batches.iter().find(|run| {
            end = end.saturating_add(run.count);
            batch < end
        });
        run.map(|run| run.kind.as_str())
    }

    /// The batch, from 0, of the host at a position.
    pub fn batch_at(&self, position: u64) -> Option<u64> {
        let (mut hosts, mut batches) = (0_u64, 0_u64);
        for run in &self.batches {
            let of_run = run.hosts.saturating_mul(run.count);
            if position < hosts.saturating_add(of_run) {
                return Some(batches + (position - hosts) / run.hosts);
            }
            (hosts, batches) = (hosts.saturating_add(of_run), batches.saturating_add(run.count));
        }
        None
    }
}

/// A command to a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutControl {
    /// The id of this command. It is accepted once.
    pub id: Id,
    /// The rollout.
    pub rollout: Id,
    /// The process that sends the batches, as in its status. Another process refuses the command.
    pub runner: Id,
    /// What to do.
    pub command: RolloutCommand,
    /// The name of the sender, for display.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// When the command was sent, by the sender's clock.
    pub issued_at: Timestamp,
    /// When it is no longer accepted.
    pub expires_at: Timestamp,
}

impl RolloutControl {
    /// Parses a command.
    pub fn parse(payload: &[u8]) -> Result<Self, WireError> {
        codec::from_bytes(payload)
    }

    /// Encodes the command as JSON.
    pub fn encode(&self) -> Vec<u8> {
        let mut control = self.clone();
        truncate_string(&mut control.issuer, 512);
        codec::to_bytes(&control)
    }
}
