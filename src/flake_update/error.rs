//! The errors of a flake update.

use super::TokenError;

/// The category of a failure, which determines the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The arguments or the repository do not allow the update.
    Usage,
    /// The remote or the forge is unreachable or refused the request.
    Remote,
    /// A local step failed.
    Local,
    /// The update was interrupted.
    Interrupted,
}

/// Why an update failed. Messages contain no credentials.
#[derive(Debug, thiserror::Error)]
pub enum FlakeUpdateError {
    /// The directory is not a git checkout.
    #[error(
        "{repo} is not a git checkout: {message}; set --repo to the directory of a checkout, or to a URL"
    )]
    NoCheckout {
        /// The directory of the checkout.
        repo: String,
        /// git's message.
        message: String,
    },
    /// The checkout has uncommitted changes.
    #[error(
        "{repo} has uncommitted changes, which the update would not include; commit or stash them, \
         or set --repo to the URL of the remote"
    )]
    Dirty {
        /// The directory of the checkout.
        repo: String,
    },
    /// No branch is checked out.
    #[error(
        "the head of {repo} is detached, so its commits may be on no branch; run `git switch {base}` there first, or \
         set --repo to the URL of the remote"
    )]
    Detached {
        /// The directory of the checkout.
        repo: String,
        /// The name of the base branch.
        base: String,
    },
    /// The checkout is a shallow clone.
    #[error("{repo} is a shallow clone, which nix cannot build; run `git fetch --unshallow` there")]
    Shallow {
        /// The directory of the checkout.
        repo: String,
    },
    /// The base branch of the checkout has unpushed commits.
    #[error(
        "{base} in {repo} has commits that {remote} does not have; push them first, because the update would not include them"
    )]
    Unpushed {
        /// The directory of the checkout.
        repo: String,
        /// The name of the base branch.
        base: String,
        /// The name or URL of the remote, without credentials.
        remote: String,
    },
    /// The checkout has no such remote.
    #[error("{repo} has no remote {remote}; {advice}")]
    NoRemote {
        /// The directory of the checkout.
        repo: String,
        /// The name or URL of the remote, without credentials.
        remote: String,
        /// What to do about it.
        advice: String,
    },
    /// The remote has no such branch.
    #[error("{remote} has no branch {base}{near}; set the branch to update with --base")]
    NoBase {
        /// The name or URL of the remote, without credentials.
        remote: String,
        /// The name of the base branch.
        base: String,
        /// Existing branches, in parentheses; may be empty.
        near: String,
    },
    /// The directory has no flake.
    #[error(
        "{remote} has no flake.nix in the directory {dir}: set --repo to the directory of the flake in a checkout, or add `?dir=DIRECTORY` \
         to its path or URL"
    )]
    NoDir {
        /// The name or URL of the remote, without credentials.
        remote: String,
        /// The directory within the repository.
        dir: String,
    },
    /// Today's update branch has commits from someone else.
    #[error(
        "{branch} on {remote} has commits other than that of an update, so someone has worked on it; merge or delete \
         that branch, then run again"
    )]
    BranchModified {
        /// The name of the update branch.
        branch: String,
        /// The name or URL of the remote, without credentials.
        remote: String,
    },
    /// The flake has no hosts, so nothing can verify the update.
    #[error(
        "{repo} has no host below nixosConfigurations{skipped}, so nothing can verify the update; nothing was pushed"
    )]
    NoHosts {
        /// The directory of the checkout, or the URL of the remote.
        repo: String,
        /// Invalid host names that the flake has, after "but"; may be empty.
        skipped: String,
    },
    /// A file of the flake is not a regular file.
    #[error(
        "{file} is {kind} in the repository: expected a regular file, because nix would write through it; replace it with a file, \
         commit and push"
    )]
    NotAFile {
        /// The file's path in the repository.
        file: String,
        /// What it is instead, such as "a symbolic link".
        kind: &'static str,
    },
    /// The URL of a submodule is relative, which works only if the repository is fetched from its remote.
    #[error(
        "the submodule {name} has the relative URL {url}, which is not next to the temporary work tree of an update; \
         write {absolute} in .gitmodules, commit and push"
    )]
    RelativeSubmodule {
        /// The submodule's name in `.gitmodules`.
        name: String,
        /// Its relative URL.
        url: String,
        /// The same URL in full, without credentials.
        absolute: String,
    },
    /// The update adds an input that is fetched from this machine.
    #[error(
        "the update adds the input {input} from {url}: expected only inputs from the network, because an input from this machine can \
         contain its credentials; nothing was evaluated or pushed. If you trust it, add that input to the flake yourself and commit"
    )]
    LocalInput {
        /// The path of the input, as in `a/b` for the input `b` of the input `a`.
        input: String,
        /// Where it is fetched from.
        url: String,
    },
    /// The token file is unusable.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The forge's URL is invalid or cannot be derived from the remote.
    #[error("{0}")]
    ForgeUrl(String),
    /// A step failed.
    #[error("could not {operation}: {reason}; {next_step}")]
    Step {
        /// The operation, to follow "could not".
        operation: String,
        /// Why it failed.
        reason: String,
        /// The state that was left behind, and what to do next.
        next_step: String,
        /// The category of the failure.
        kind: FailureKind,
    },
    /// The update was interrupted. Holds the state that was left behind.
    #[error("interrupted; {0}")]
    Interrupted(String),
}

impl FlakeUpdateError {
    /// The category of the failure.
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Step { kind, .. } => *kind,
            Self::Interrupted(_) => FailureKind::Interrupted,
            _ => FailureKind::Usage,
        }
    }
}
