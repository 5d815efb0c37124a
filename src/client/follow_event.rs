//! The events of a followed deployment.

use super::BatchKind;
use crate::protocol::{DeployReport, Id, Name, RolloutStatus};
use serde::Serialize;
use std::fmt;
use std::sync::Arc;

/// An event of a followed deployment.
#[derive(Debug, Clone, PartialEq)]
pub enum FollowEvent {
    /// A host sent a new report.
    Report(Arc<DeployReport>),
    /// A request was resent to a host with a wrong clock, under a new id.
    Resent {
        /// The host with the wrong clock.
        host: Name,
        /// The id of the new job.
        id: Id,
        /// A message for the operator.
        note: String,
    },
    /// A batch was sent.
    BatchStarted(BatchStarted),
    /// The rollout was paused, continued or stopped, or has sent a batch.
    Rollout(Box<RolloutStatus>),
    /// [`LocalCommand::HandOver`](super::LocalCommand::HandOver) arrived. Nothing is sent until the next event is
    /// requested, which continues the rollout here.
    HandOver,
    /// A message for the operator.
    Note(String),
}

/// A batch of a rollout was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BatchStarted {
    /// The number of the batch, from 1.
    pub batch: usize,
    /// The number of all batches.
    pub of: usize,
    /// The kind of batch.
    pub kind: BatchKind,
    /// The hosts of the batch.
    pub hosts: Vec<Name>,
}

impl fmt::Display for BatchStarted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "batch {} of {}", self.batch, self.of)?;
        match self.kind {
            BatchKind::Canary => f.write_str(", the canary")?,
            BatchKind::NatsServer => f.write_str(", the NATS server")?,
            BatchKind::Batch => {}
        }
        let hosts: Vec<_> = self.hosts.iter().map(Name::as_str).collect();
        write!(f, ": {}", hosts.join(", "))
    }
}
