//! Why an update could not be made.

use super::TokenError;

/// What failed, in the wide sense that exit codes tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ground {
    /// What was asked for.
    Usage,
    /// The way to the remote or the forge, or their refusal.
    Link,
    /// What is done here.
    Local,
    /// It was interrupted.
    Interrupted,
}

/// Why an update could not be made. Every text is free of credentials.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    /// The folder is no checkout.
    #[error("{repo} is no checkout of git: {said}; give --repo the folder of one, or a URL")]
    NoCheckout {
        /// The folder.
        repo: String,
        /// What git said.
        said: String,
    },
    /// Somebody is at work there.
    #[error(
        "{repo} has changes that are not committed and that the update would not have; commit or stash them, \
         or give --repo the URL of the remote"
    )]
    Dirty {
        /// The folder.
        repo: String,
    },
    /// No branch is checked out.
    #[error(
        "the head of {repo} is detached, so its commits may be on no branch; `git switch {base}` there first, or \
         give --repo the URL of the remote"
    )]
    Detached {
        /// The folder.
        repo: String,
        /// The base branch.
        base: String,
    },
    /// The checkout lacks history.
    #[error("{repo} is a shallow clone, which nix does not build; run `git fetch --unshallow` there")]
    Shallow {
        /// The folder.
        repo: String,
    },
    /// The checkout has commits that nobody else has.
    #[error(
        "{base} in {repo} has commits that {remote} does not have; push them first, or the update would not have them"
    )]
    Unpushed {
        /// The folder.
        repo: String,
        /// The base branch.
        base: String,
        /// The remote.
        remote: String,
    },
    /// The checkout has no such remote.
    #[error("{repo} has no remote {remote}; {advice}")]
    NoRemote {
        /// The folder.
        repo: String,
        /// The remote.
        remote: String,
        /// What there is instead.
        advice: String,
    },
    /// The remote has no such branch.
    #[error("{remote} has no branch {base}{near}; name the branch to update with --base")]
    NoBase {
        /// The remote.
        remote: String,
        /// The base branch.
        base: String,
        /// Near names.
        near: String,
    },
    /// No flake is in that directory.
    #[error(
        "{remote} has no flake.nix in the directory {dir}: give --repo the directory of the flake in a checkout, or `?dir=DIRECTORY` \
         after its path or URL"
    )]
    NoDir {
        /// The remote.
        remote: String,
        /// The directory.
        dir: String,
    },
    /// Somebody has worked on the branch of today.
    #[error(
        "{branch} on {remote} has more than one commit of an update, so somebody has worked on it; merge or delete \
         that branch, then run again"
    )]
    Foreign {
        /// The branch.
        branch: String,
        /// The remote.
        remote: String,
    },
    /// There is nothing that could prove the update.
    #[error(
        "{repo} has no host below nixosConfigurations{skipped}, so nothing shows that the update works; nothing was pushed"
    )]
    NoHosts {
        /// The repository.
        repo: String,
        /// Names that no request can mean.
        skipped: String,
    },
    /// A file of the flake is none.
    #[error(
        "{file} is {kind} in the repository: expected a regular file, because nix would write through it; replace it with a file, \
         commit and push"
    )]
    NotAFile {
        /// Its name.
        file: String,
        /// What it is instead.
        kind: &'static str,
    },
    /// An input has got an input of this machine.
    #[error(
        "the update adds the input {input} from {url}: expected only inputs from the network, because an input from this machine can \
         hold its credentials; nothing was evaluated or pushed. If you trust it, add that input to the flake yourself and commit"
    )]
    LocalInput {
        /// Its names from the flake on, as in `a/b`.
        input: String,
        /// Where it is.
        url: String,
    },
    /// The token file.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// Where the forge is.
    #[error("{0}")]
    ForgeUrl(String),
    /// A step failed.
    #[error("could not {doing}: {why}; {left}")]
    Step {
        /// What was being done.
        doing: String,
        /// Why it failed.
        why: String,
        /// What is left to do.
        left: String,
        /// Whose fault it may be.
        ground: Ground,
    },
    /// It was asked to stop.
    #[error("interrupted; {0}")]
    Interrupted(String),
}

impl UpdateError {
    /// What failed, in the wide sense.
    pub fn ground(&self) -> Ground {
        match self {
            Self::Step { ground, .. } => *ground,
            Self::Interrupted(_) => Ground::Interrupted,
            _ => Ground::Usage,
        }
    }
}
