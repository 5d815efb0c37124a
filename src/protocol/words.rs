//! The open vocabularies of the wire: each word is known or kept as the text a newer or older peer sent.

use super::fit_start;
use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The most that is kept of an unknown word, in bytes as encoded, so that no peer's word fills our own messages.
const MAX_WORD: usize = 256;

/// Declares an enum of wire words that keeps unknown ones as text, so that no peer's word breaks a message.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(from = "CompactString", into = "String")]
        pub enum $name {
            $($(#[$vmeta])* $variant,)+
            /// A word this version does not know, as it was sent. Rare, so it must not make every known word larger.
            Other(Box<String>),
        }

        impl $name {
            /// Every word this version knows.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word as it stands on the wire.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)+
                    Self::Other(word) => word,
                }
            }

            /// Whether this version knows the word.
            pub fn is_known(&self) -> bool {
                !matches!(self, Self::Other(_))
            }
        }

        impl From<&str> for $name {
            fn from(word: &str) -> Self {
                match word {
                    $($text => Self::$variant,)+
                    other => Self::Other(Box::new(fit_start(other, MAX_WORD).to_owned())),
                }
            }
        }

        impl From<String> for $name {
            fn from(word: String) -> Self {
                Self::from(word.as_str())
            }
        }

        impl From<CompactString> for $name {
            fn from(word: CompactString) -> Self {
                Self::from(word.as_str())
            }
        }

        impl From<$name> for String {
            fn from(word: $name) -> Self {
                match word {
                    $name::Other(word) => *word,
                    known => known.as_str().to_owned(),
                }
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

words! {
    /// What a deploy request asks a host to do.
    Action {
        /// Build, activate, and make it the system that boots.
        Switch = "switch",
        /// Build and make it the system that boots next; the running system stays.
        Boot = "boot",
        /// Build and activate; the next boot brings the old system back.
        Test = "test",
        /// Build and tell what a switch would do.
        DryActivate = "dry-activate",
        /// Build only.
        Build = "build",
        /// Go back to an earlier generation.
        Rollback = "rollback",
        /// Stop a job, as long as it has not begun to activate.
        Cancel = "cancel",
        /// Reboot the host.
        Reboot = "reboot",
        /// Refuse every change until released.
        Hold = "hold",
        /// End a hold.
        Release = "release",
    }
}

impl Action {
    /// The four actions that every listener knows, base ones too.
    pub const BASE: [Self; 4] = [Self::Switch, Self::Boot, Self::Test, Self::DryActivate];

    /// Whether it begins a job. The others are decided at once.
    pub fn makes_job(&self) -> bool {
        !matches!(self, Self::Cancel | Self::Hold | Self::Release)
    }

    /// Whether the request must name a revision.
    pub fn needs_revision(&self) -> bool {
        matches!(self, Self::Switch | Self::Boot | Self::Test | Self::DryActivate | Self::Build)
    }
}

words! {
    /// How far a job is. Only `completed`, `failed` and `rejected` are ever final.
    Status {
        /// Taken, not begun.
        Accepted = "accepted",
        /// Begun.
        Started = "started",
        /// A heartbeat, or a change of phase or progress.
        Running = "running",
        /// The one good verdict.
        Completed = "completed",
        /// The job ran and failed.
        Failed = "failed",
        /// The request was not taken.
        Rejected = "rejected",
    }
}

impl Status {
    /// Whether no other report of this job on this host can follow.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Rejected)
    }
}

words! {
    /// Why a job failed or was rejected.
    ErrorCode {
        /// The revision is malformed, unknown to the repository, or a short commit.
        InvalidRevision = "invalid_revision",
        /// The action is unknown, or this listener cannot do it.
        InvalidAction = "invalid_action",
        /// Another job runs; `running_job` names it.
        AlreadyRunning = "already_running",
        /// The build failed.
        BuildFailed = "build_failed",
        /// Prepare, build and check took longer than allowed.
        Timeout = "timeout",
        /// The builder has no such repository; the message names those it has.
        UnknownRepo = "unknown_repo",
        /// Not JSON, too large, or a bad field, which the message names.
        InvalidRequest = "invalid_request",
        /// The latest moment to begin has passed.
        Expired = "expired",
        /// Somebody cancelled the job.
        Cancelled = "cancelled",
        /// A cancel came when the job could no longer be stopped.
        TooLate = "too_late",
        /// No such job on this host.
        NotFound = "not_found",
        /// The request is not signed as this listener demands.
        NotPermitted = "not_permitted",
        /// The host is held.
        Held = "held",
        /// The flake does not evaluate.
        EvaluationFailed = "evaluation_failed",
        /// The repository could not be reached.
        SourceUnreachable = "source_unreachable",
        /// Refused before anything changed: degraded, full disk, no proof of the link.
        Unhealthy = "unhealthy",
        /// The new system's own check refused.
        CheckRefused = "check_refused",
        /// Activation failed.
        ActivationFailed = "activation_failed",
        /// The new system did not prove itself.
        VerificationFailed = "verification_failed",
        /// The system profile or the boot loader could not be set.
        PersistFailed = "persist_failed",
        /// Going back failed.
        RollbackFailed = "rollback_failed",
        /// The job died with the host or its listener.
        Interrupted = "interrupted",
        /// Our own fault; the message holds the cause.
        Internal = "internal",
    }
}

words! {
    /// A phase of a job.
    PhaseName {
        /// Refuse what cannot work, resolve the revision, record what runs.
        Prepare = "prepare",
        /// Build the closure.
        Build = "build",
        /// Ask the new system whether it may be activated.
        Check = "check",
        /// Activate the new system.
        Activate = "activate",
        /// Prove that the host is well and can be reached.
        Verify = "verify",
        /// Make it the system that boots.
        Persist = "persist",
        /// Go back to the previous system.
        Rollback = "rollback",
    }
}

impl PhaseName {
    /// The phases a deployment goes through when all is well, in order.
    pub const PIPELINE: [Self; 6] =
        [Self::Prepare, Self::Build, Self::Check, Self::Activate, Self::Verify, Self::Persist];

    /// The place in the pipeline; `rollback` and unknown phases have none.
    pub fn rank(&self) -> Option<usize> {
        Self::PIPELINE.iter().position(|phase| phase == self)
    }
}

words! {
    /// The state of one phase.
    PhaseState {
        /// Not begun.
        Pending = "pending",
        /// Begun.
        Running = "running",
        /// Ended well.
        Done = "done",
        /// Ended badly.
        Failed = "failed",
        /// Not needed, or never reached.
        Skipped = "skipped",
    }
}

words! {
    /// What happens on failed units and failed health checks. A lost link always rolls back.
    OnFailure {
        /// Restore the previous system; the default.
        Rollback = "rollback",
        /// Leave the new system running.
        Keep = "keep",
    }
}

words! {
    /// What an ask wants to know.
    Want {
        /// The host itself; the default.
        Host = "host",
        /// One job's report.
        Job = "job",
        /// Past jobs.
        History = "history",
        /// A piece of a job's log.
        Log = "log",
        /// An announcement over a fresh connection, with the nonce of the query.
        Presence = "presence",
    }
}

words! {
    /// How far a build is.
    BuildStatus {
        /// Begun.
        Started = "started",
        /// A change of a host's state.
        Progress = "progress",
        /// Every host was built.
        Completed = "completed",
        /// At least one host failed.
        Failed = "failed",
        /// The request was not taken.
        Rejected = "rejected",
    }
}

impl BuildStatus {
    /// Whether no other report of this build can follow.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Rejected)
    }
}
