//! Why a revision could not be pinned to a commit.

use super::{CommitRefused, SignersError};
use crate::protocol::ErrorCode;
use std::io;

/// Why a revision could not be pinned. Every text is free of credentials.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The repository has neither such a branch nor such a tag.
    #[error("{revision:?} is not a branch or tag of {flake}{advice}")]
    UnknownRevision {
        /// What was asked for.
        revision: String,
        /// Where it was looked for.
        flake: String,
        /// What to ask for instead.
        advice: String,
    },
    /// The commit that was asked for is not 40 digits.
    #[error("{0:?} is not a commit: give all 40 lower-case hexadecimal digits")]
    NotACommit(String),
    /// The repository did not answer, or refused.
    #[error("could not look up {revision:?} in {flake}: {said}; {advice}")]
    Unreachable {
        /// What was asked for.
        revision: String,
        /// Where it was looked for.
        flake: String,
        /// The last lines of git.
        said: String,
        /// What to do about it.
        advice: &'static str,
    },
    /// The ref was moved to another history between two looks at it.
    #[error("{reference} of {flake} was rewritten during the lookup; deploy again")]
    Moved {
        /// The full name of the ref.
        reference: String,
        /// Where it is.
        flake: String,
    },
    /// The commit is not one that this host deploys.
    #[error(transparent)]
    Refused(#[from] CommitRefused),
    /// The signature of the commit could not be verified.
    #[error(transparent)]
    Signers(#[from] SignersError),
    /// There is no `git` on the `PATH`.
    #[error(
        "could not look up {revision:?} in {flake}: git is not installed here; put it on the service's PATH"
    )]
    NoGit {
        /// What was asked for.
        revision: String,
        /// Where it was looked for.
        flake: String,
    },
    /// git could not be run, or its output could not be read.
    #[error("could not run git to look up {revision:?} in {flake}: {source}; try again")]
    Git {
        /// What was asked for.
        revision: String,
        /// Where it was looked for.
        flake: String,
        /// What the system said.
        source: io::Error,
    },
}

impl ResolveError {
    /// The code for the report.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::UnknownRevision { .. } | Self::NotACommit(_) | Self::Moved { .. } | Self::Refused(_) => {
                ErrorCode::InvalidRevision
            }
            Self::Signers(_) => ErrorCode::Unhealthy,
            Self::Unreachable { .. } | Self::NoGit { .. } => ErrorCode::SourceUnreachable,
            Self::Git { .. } => ErrorCode::Internal,
        }
    }
}
