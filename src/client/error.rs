//! Errors of operator commands.

use super::{InventoryError, MissingServices, RolloutError, SelectionError};
use crate::fleet::FlakeError;
use crate::nats::NatsError;
use crate::protocol::{Name, PresenceMismatch, Revision, UnprovenReason};
use std::time::Duration;

/// Two listeners use the same hostname.
#[derive(Debug, thiserror::Error)]
#[error("{} listeners claim the name {host} (instances {}); give each listener a different --hostname", instances.len(), instances.join(", "))]
pub struct NameConflict {
    /// The shared hostname.
    pub host: Name,
    /// The instances that use it.
    pub instances: Vec<String>,
}

/// Why an operator's command failed.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// A NATS operation failed.
    #[error(transparent)]
    Nats(#[from] NatsError),
    /// The selection of hosts is invalid.
    #[error(transparent)]
    Selection(#[from] SelectionError),
    /// The inventory cannot be read or written.
    #[error(transparent)]
    Inventory(#[from] InventoryError),
    /// The batches are invalid.
    #[error(transparent)]
    Rollout(#[from] RolloutError),
    /// A host's flake URL or instance differs from what was known.
    #[error("{0}; nothing was sent")]
    Flake(#[from] FlakeError),
    /// The NATS server did not answer before the requests were sent.
    #[error("the NATS server did not answer within {} s; nothing was sent", .0.as_secs())]
    ServerSilent(Duration),
    /// Hosts on an explicit subject cannot be deployed in batches.
    #[error(
        "the subject {subject} reaches all its hosts at once, so they cannot be deployed in batches: name hosts, or use --role or --all with --tier; nothing was sent"
    )]
    SubjectInBatches {
        /// The explicit subject.
        subject: String,
    },
    /// A branch or tag cannot be resolved to a commit.
    #[error(
        "failed to pin {revision} to a commit: {reason}; nothing was sent. With --no-pin, each host looks it up itself"
    )]
    CannotPin {
        /// The branch or tag.
        revision: Revision,
        /// Why the commit is unknown.
        reason: String,
    },
    /// Two listeners use the same hostname.
    #[error("{0}; nothing was sent")]
    NameConflict(#[from] NameConflict),
    /// The host does not listen on its usual subject. Another subject is taken only from the operator's configuration.
    #[error(
        "{host} does not listen on {usual} but on {}: set `subject = \"…\"` for it in [contexts.NAME.hosts] of the \
         configuration, or use the subject as the target; nothing was sent",
        subjects.join(", ")
    )]
    NoSubject {
        /// The host without the usual subject.
        host: Name,
        /// The usual subject, `deploy.<tier>.<hostname>`.
        usual: String,
        /// The subjects that it listens on.
        subjects: Vec<String>,
    },
    /// A host's messages are not proven to be its own.
    #[error(
        "{host} is not proven: {doubt}; nothing was sent. Check the host, then run `homelab-deploy hosts --trust {host}`; for \
         listeners that do not sign, set `unproven = \"allow\"` in the context"
    )]
    Unproven {
        /// The unproven host.
        host: Name,
        /// Why its messages are not proven.
        doubt: UnprovenReason,
    },
    /// A host's presence differs from what is known about it.
    #[error(
        "{host} has changed: {difference}; nothing was sent. If that is expected, run `homelab-deploy hosts --trust {host}`"
    )]
    Differs {
        /// The changed host.
        host: Name,
        /// The changed field, with both values.
        difference: PresenceMismatch,
    },
    /// The current key of a host cannot be trusted.
    #[error(
        "cannot trust {host}: {doubt}; for a host in a fleet file or in the configuration, change its key there; for a \
         listener that does not sign, set `unproven = \"allow\"` in the context"
    )]
    NotTrusted {
        /// The host that was not trusted.
        host: Name,
        /// Why its reply is not proven.
        doubt: UnprovenReason,
    },
    /// A host did not reply to a query that the command needs.
    #[error("{host} did not reply, so nothing was changed; start its listener and try again")]
    NoReply {
        /// The silent host.
        host: Name,
    },
    /// The listener is too old for the action, or its rebuild program cannot do it.
    #[error(
        "the listener on {host} does not support `{action}`: {}; nothing was sent",
        if *is_base { "update it" } else { "it has a rebuild program, or must be updated" }
    )]
    Unsupported {
        /// The host with the listener.
        host: Name,
        /// The unsupported action.
        action: String,
        /// Whether the listener knows only the base format.
        is_base: bool,
    },
    /// The host runs services with Docker Compose, so that the next boot is not different from the running system.
    #[error(
        "{host} runs services with Docker Compose, which has no system for the next boot, so `{action}` means nothing there: use \
         `switch`, or `dry-activate` to see what would change; nothing was sent"
    )]
    NoNextBoot {
        /// The host with Docker Compose.
        host: Name,
        /// The action.
        action: String,
    },
    /// The host does not have the services of the request.
    #[error("{host} cannot get this request: {missing}; nothing was sent")]
    MissingServices {
        /// The host.
        host: Name,
        /// What it lacks.
        missing: MissingServices,
    },
    /// A request that is about a part of a host cannot go to a subject.
    #[error(
        "the subject {subject} may reach other hosts, but `resume`, `--service` and `--prune` are for named hosts: give the \
         name of a host; nothing was sent"
    )]
    NotOnSubject {
        /// The explicit subject.
        subject: String,
    },
    /// The last change of a host did not fail.
    #[error("no job of {host} failed, so there is nothing to continue; nothing was sent")]
    NothingToResume {
        /// The host.
        host: Name,
    },
    /// A host whose running job is to be cancelled does not reply.
    #[error("{host} does not reply, so its running job is unknown; nothing was sent")]
    NoAnswer {
        /// The silent host.
        host: Name,
    },
    /// A host has no running job to cancel.
    #[error("no job runs on {host}; nothing was sent")]
    NoRunningJob {
        /// The idle host.
        host: Name,
    },
}
