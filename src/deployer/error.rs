//! Why an operator's wish could not be carried out.

use super::{RosterError, SelectionError, WavesError};
use crate::bus::LinkError;
use crate::protocol::{Name, Revision};

/// Why an operator's wish could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// The server or the connection.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The targets.
    #[error(transparent)]
    Selection(#[from] SelectionError),
    /// The roster.
    #[error(transparent)]
    Roster(#[from] RosterError),
    /// The waves.
    #[error(transparent)]
    Waves(#[from] WavesError),
    /// A subject reaches its hosts all at once.
    #[error(
        "the subject {subject} reaches its hosts all at once; name hosts, or --role or --all with --tier, for waves; nothing was sent"
    )]
    SubjectInWaves {
        /// The subject.
        subject: String,
    },
    /// The commit of a branch or tag is not known.
    #[error(
        "{revision} could not be pinned to a commit: {why}; nothing was sent. With --no-pin each host looks it up itself"
    )]
    CannotPin {
        /// The branch or tag.
        revision: Revision,
        /// The reason, in words.
        why: String,
    },
    /// Two listeners answer to one name.
    #[error("{} listeners claim the name {host} (instances {}); give each its own --hostname, nothing was sent", instances.len(), instances.join(", "))]
    TwoOfOneName {
        /// The name.
        host: Name,
        /// Who claims it.
        instances: Vec<String>,
    },
    /// No subject reaches this host alone.
    #[error("{host} listens on no subject of its own ({}); name the subject itself as the target", subjects.join(", "))]
    NoSubject {
        /// The host.
        host: Name,
        /// Where it listens.
        subjects: Vec<String>,
    },
    /// An older listener.
    #[error("the listener on {host} cannot do `{action}`; update it, nothing was sent")]
    Incapable {
        /// The host.
        host: Name,
        /// What was asked of it.
        action: String,
    },
    /// Whether there is anything to cancel cannot be known.
    #[error("{host} does not answer, so nobody knows what runs there; nothing was sent")]
    Silent {
        /// The host.
        host: Name,
    },
    /// There is nothing to cancel.
    #[error("no job runs on {host}; nothing was sent")]
    NothingRuns {
        /// The host.
        host: Name,
    },
}
