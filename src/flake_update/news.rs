//! What is told while an update is made, and how it ended.

use crate::protocol::BuildHost;
use serde::Serialize;

/// Something has happened.
#[derive(Debug, Clone)]
pub enum News {
    /// The tip of the base branch was fetched.
    Fetched {
        /// The branch.
        base: String,
        /// Its commit.
        commit: String,
    },
    /// The inputs have changed.
    Updated {
        /// The branch with the change.
        branch: String,
        /// Its commit.
        commit: String,
        /// What nix says of it.
        message: String,
    },
    /// Hosts are going to be built.
    Building {
        /// These.
        hosts: Vec<String>,
        /// Names that no request can mean.
        skipped: Vec<String>,
    },
    /// A host was built, or was not.
    Built(Box<BuildHost>),
    /// The base branch has moved meanwhile, and all begins again on its new tip.
    Moved {
        /// The branch.
        base: String,
    },
    /// A branch was pushed.
    Pushed {
        /// The branch.
        branch: String,
        /// Its commit.
        commit: String,
    },
    /// Something to be known, in a sentence.
    Note(String),
}

/// How an update ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// There was nothing to update.
    Current,
    /// Every host builds.
    Updated,
    /// At least one host does not build.
    Failed,
}

/// A pull request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PullRequest {
    /// Its number.
    pub number: u64,
    /// Its page.
    pub url: String,
    /// Whether it was there already and was brought up to date.
    pub existed: bool,
}

/// How an update ended, in whole.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// In a word.
    pub state: State,
    /// Whether nothing was to be pushed.
    pub dry_run: bool,
    /// The branch that is updated.
    pub base: String,
    /// The branch of the update.
    pub branch: String,
    /// The base branch's commit before.
    pub before: String,
    /// The update's commit, where there was something to update.
    pub commit: Option<String>,
    /// Every host that was built.
    pub hosts: Vec<BuildHost>,
    /// Names of hosts that no request can mean.
    pub skipped: Vec<String>,
    /// Which branch was pushed.
    pub pushed: Option<String>,
    /// The pull request.
    pub pull_request: Option<PullRequest>,
    /// Why there is none where there should be one.
    pub left: Option<String>,
    /// Why the hosts could not be listed.
    pub unlisted: Option<String>,
}
