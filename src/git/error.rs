//! Why a revision cannot be resolved to a commit, or the commit is refused.

use super::SignersError;
use crate::protocol::ErrorCode;
use std::io;

/// Why a revision could not be resolved. Messages contain no credentials.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The repository has no such branch or tag.
    #[error("{revision:?} is not a branch or tag of {remote}{advice}")]
    UnknownRevision {
        /// The requested revision.
        revision: String,
        /// The URL of the repository that was searched, without credentials.
        remote: String,
        /// What to use instead.
        advice: String,
    },
    /// The requested commit does not have 40 lower-case hexadecimal digits.
    #[error("{0:?} is not a commit: give all 40 lower-case hexadecimal digits")]
    NotACommit(String),
    /// The server did not respond, or refused access.
    #[error("could not look up {revision:?} in {remote}: {message}; {advice}")]
    Unreachable {
        /// The requested revision.
        revision: String,
        /// The URL of the repository that was searched, without credentials.
        remote: String,
        /// The last lines of git's stderr.
        message: String,
        /// What to do about it.
        advice: &'static str,
    },
    /// The ref was rewritten between lookup and fetch.
    #[error("{reference} of {remote} was rewritten during the lookup; deploy again")]
    Moved {
        /// The full name of the ref.
        reference: String,
        /// The URL of the repository that was searched, without credentials.
        remote: String,
    },
    /// The host does not deploy this commit.
    #[error(transparent)]
    Refused(#[from] CommitRefused),
    /// The signature of the commit could not be verified.
    #[error(transparent)]
    Signers(#[from] SignersError),
    /// git is not on the `PATH`.
    #[error(
        "could not look up {revision:?} in {remote}: git is not installed here; put it on the service's PATH"
    )]
    NoGit {
        /// The requested revision.
        revision: String,
        /// The URL of the repository that was searched, without credentials.
        remote: String,
    },
    /// git could not be run, or its output could not be read.
    #[error("could not run git to look up {revision:?} in {remote}: {source}; try again")]
    Git {
        /// The requested revision.
        revision: String,
        /// The URL of the repository that was searched, without credentials.
        remote: String,
        /// The operating system's error.
        source: io::Error,
    },
}

impl ResolveError {
    /// The error code for the job's report.
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

/// Why a commit is refused. URLs contain no credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitRefused {
    /// The commit is not in the history of the requested branch or tag.
    #[error(
        "commit {commit} is not on the {kind} {name:?} of {remote}; merge and push it there, or name a branch that contains it, then \
         deploy again"
    )]
    NotOnRef {
        /// The requested commit.
        commit: String,
        /// `branch` or `tag`.
        kind: &'static str,
        /// The name of the branch or tag.
        name: String,
        /// The URL of the repository, without credentials.
        remote: String,
    },
    /// The request names only a commit, which is on no branch or tag of the repository.
    #[error(
        "commit {commit} is not on any branch or tag of {remote}; merge and push it to a branch there, then deploy again (commits of \
         forks and of open pull requests are not deployed)"
    )]
    NotOnAnyRef {
        /// The requested commit.
        commit: String,
        /// The URL of the repository, without credentials.
        remote: String,
    },
    /// The request has a commit as its revision, and a different one as its commit.
    #[error("the request names two commits, {0} as its revision and {1} as its commit; name only one")]
    TwoCommits(String, String),
    /// The requested branch is not allowed on this host.
    #[error(
        "the branch {branch:?} is not deployed by this host, which allows {} only (--allow-branch); merge it into an allowed \
         branch, or deploy an allowed one",
        list(allowed)
    )]
    BranchNotAllowed {
        /// The name of the branch.
        branch: String,
        /// The allowed branches.
        allowed: Vec<String>,
    },
    /// The commit is on no branch that is allowed on this host.
    #[error(
        "commit {commit} is not on a branch that this host allows: expected {} (--allow-branch); merge it into an allowed \
         branch, then deploy again",
        list(allowed)
    )]
    CommitNotAllowed {
        /// The requested commit.
        commit: String,
        /// The allowed branches.
        allowed: Vec<String>,
    },
    /// The host last deployed a newer commit of the branch.
    #[error(
        "commit {commit} is older than {last}, which this host deployed last from the branch {branch:?}; to go back, use \
         `rollback`, or `deploy --allow-older` for exactly this commit"
    )]
    Older {
        /// The requested commit.
        commit: String,
        /// The commit that was deployed last.
        last: String,
        /// The name of the branch.
        branch: String,
    },
    /// The commit does not contain the one that the host last deployed from the branch.
    #[error(
        "commit {commit} does not contain {last}, which this host deployed last from the branch {branch:?}: the branch was \
         rewritten, or the commit is from before a merge; check the branch, then use `deploy --allow-older`"
    )]
    Diverged {
        /// The requested commit.
        commit: String,
        /// The commit that was deployed last.
        last: String,
        /// The name of the branch.
        branch: String,
    },
    /// The commit is not signed.
    #[error(
        "commit {commit} is not signed; expected a signature by {expected}; sign it with `git commit -S`, push it, then deploy again"
    )]
    NotSigned {
        /// The requested commit.
        commit: String,
        /// The accepted signers.
        expected: String,
    },
    /// The commit is signed with a key that is not accepted.
    #[error(
        "commit {commit} is signed by {signer}; expected a signature by {expected}; have one of them sign it, or add the key to \
         the file of --commit-signers"
    )]
    UnknownSigner {
        /// The requested commit.
        commit: String,
        /// A description of the signing key.
        signer: String,
        /// The accepted signers.
        expected: String,
    },
    /// The signature is not valid.
    #[error(
        "the signature of commit {commit} is not valid: {reason}; expected a signature by {expected}; sign the commit again"
    )]
    BadSignature {
        /// The requested commit.
        commit: String,
        /// Why the signature is not valid.
        reason: String,
        /// The accepted signers.
        expected: String,
    },
}

fn list(names: &[String]) -> String {
    names.join(", ")
}
