//! Why a host does not deploy a commit that its repository has.

/// Why a commit is refused. The names of flakes are free of credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitRefused {
    /// The request names a branch or tag, and a commit that is not in its history.
    #[error(
        "commit {commit} is not on the {kind} {name:?} of {flake}; merge and push it there, or name a branch that has it, then \
         deploy again"
    )]
    NotOnRef {
        /// The commit.
        commit: String,
        /// `branch` or `tag`.
        kind: &'static str,
        /// Its name.
        name: String,
        /// The repository.
        flake: String,
    },
    /// The request names a commit alone, and nothing in the repository has it.
    #[error(
        "commit {commit} is not on any branch or tag of {flake}; merge and push it to a branch there, then deploy again (a commit of \
         a fork or of an open pull request is not deployed)"
    )]
    NotOnAnyRef {
        /// The commit.
        commit: String,
        /// The repository.
        flake: String,
    },
    /// The revision is one commit and the commit is another.
    #[error("the request names two commits, {0} as its revision and {1} as its commit; name one of them")]
    TwoCommits(String, String),
    /// The host deploys other branches only.
    #[error(
        "the branch {branch:?} is not deployed by this host, which allows {} only (--allow-branch); merge it into an allowed \
         branch, or deploy that",
        list(allowed)
    )]
    BranchNotAllowed {
        /// The branch.
        branch: String,
        /// Those that are.
        allowed: Vec<String>,
    },
    /// The host deploys other branches only, and none of them has the commit.
    #[error(
        "commit {commit} is not on a branch that this host allows: expected {} (--allow-branch); merge it into an allowed \
         branch, then deploy again",
        list(allowed)
    )]
    CommitNotAllowed {
        /// The commit.
        commit: String,
        /// The branches.
        allowed: Vec<String>,
    },
    /// The branch was further ahead when it was deployed last.
    #[error(
        "commit {commit} is older than {last}, which this host deployed last from the branch {branch:?}; to go back, use \
         `rollback`, or `deploy --allow-older` for exactly this commit"
    )]
    Older {
        /// The commit.
        commit: String,
        /// What was deployed last.
        last: String,
        /// The branch.
        branch: String,
    },
    /// The branch had another history when it was deployed last.
    #[error(
        "commit {commit} does not contain {last}, which this host deployed last from the branch {branch:?}: the branch was \
         rewritten, or the commit is from before a merge; check the branch, then use `deploy --allow-older`"
    )]
    Diverged {
        /// The commit.
        commit: String,
        /// What was deployed last.
        last: String,
        /// The branch.
        branch: String,
    },
    /// Nobody has signed it.
    #[error(
        "commit {commit} is not signed; expected a signature of {expected}; sign it with `git commit -S`, push it, then deploy again"
    )]
    NotSigned {
        /// The commit.
        commit: String,
        /// Whose signatures count.
        expected: String,
    },
    /// A signature by a key that does not count.
    #[error(
        "commit {commit} is signed by {signer}; expected a signature of {expected}; have one of them sign it, or add the key to \
         the file of --commit-signers"
    )]
    UnknownSigner {
        /// The commit.
        commit: String,
        /// The key.
        signer: String,
        /// Whose signatures count.
        expected: String,
    },
    /// A signature that proves nothing.
    #[error(
        "the signature of commit {commit} is not valid: {reason}; expected a signature of {expected}; sign the commit again"
    )]
    BadSignature {
        /// The commit.
        commit: String,
        /// What is wrong with it.
        reason: String,
        /// Whose signatures count.
        expected: String,
    },
}

fn list(names: &[String]) -> String {
    names.join(", ")
}
