//! Why an operator's wish could not be carried out.

use super::{RosterError, SelectionError, WavesError};
use crate::bus::LinkError;
use crate::fleet::FlakeError;
use crate::protocol::{Difference, Doubt, Name, Revision};

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
    /// What a host says of itself differs from what was known of it.
    #[error("{0}; nothing was sent")]
    Flake(#[from] FlakeError),
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
    /// The usual subject does not reach this host, and another one is taken from the operator's configuration only.
    #[error(
        "{host} does not take requests on {usual} but on {}; write `subject = \"…\"` for it into [contexts.NAME.hosts] of the \
         configuration, or give the subject itself as the target; nothing was sent",
        subjects.join(", ")
    )]
    NoSubject {
        /// The host.
        host: Name,
        /// The usual subject.
        usual: String,
        /// Where it listens.
        subjects: Vec<String>,
    },
    /// A host is not proven.
    #[error(
        "{host} is not proven: {doubt}; nothing was sent. Check the host, then `homelab-deploy hosts --trust {host}`; for \
         listeners that do not sign, set `unproven = \"allow\"` in the context"
    )]
    Unproven {
        /// The host.
        host: Name,
        /// Why.
        doubt: Doubt,
    },
    /// A host says something else of itself than what is known.
    #[error(
        "{host} has changed: {difference}; nothing was sent. If that is right, run `homelab-deploy hosts --trust {host}`"
    )]
    Differs {
        /// The host.
        host: Name,
        /// How.
        difference: Difference,
    },
    /// A host cannot be taken at its word.
    #[error(
        "{host} was not trusted: {doubt}; a host in a fleet file or in the configuration is trusted by the key that is written \
         there, and one whose listener does not sign by `unproven = \"allow\"` in the context"
    )]
    NotTrusted {
        /// The host.
        host: Name,
        /// Why.
        doubt: Doubt,
    },
    /// A host that is asked does not reply.
    #[error("{host} did not reply, so nothing was changed; start its listener and try again")]
    NoReply {
        /// The host.
        host: Name,
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
