//! The progress events and the result of a flake update.

use crate::protocol::BuildHost;
use serde::Serialize;

/// A progress event of an update.
#[derive(Debug, Clone)]
pub enum FlakeUpdateEvent {
    /// The tip of the base branch was fetched.
    Fetched {
        /// The name of the base branch.
        base: String,
        /// The commit of its tip.
        commit: String,
    },
    /// The inputs were updated.
    Updated {
        /// The name of the update branch.
        branch: String,
        /// The commit of the update.
        commit: String,
        /// nix's description of the updated inputs.
        message: String,
    },
    /// The builds start.
    Building {
        /// The hosts to build.
        hosts: Vec<String>,
        /// Names in the flake that are not valid host names.
        skipped: Vec<String>,
    },
    /// The build of a host ended, successfully or not.
    Built(Box<BuildHost>),
    /// The base branch moved during the update, which restarts on the new tip.
    Moved {
        /// The name of the branch.
        base: String,
    },
    /// A branch was pushed.
    Pushed {
        /// The name of the branch.
        branch: String,
        /// The pushed commit.
        commit: String,
    },
    /// A remark, as a sentence.
    Note(String),
}

/// The result of an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FlakeUpdateState {
    /// There was nothing to update.
    Current,
    /// The inputs were updated and all hosts build.
    Updated,
    /// At least one host does not build.
    Failed,
}

/// A pull request that was opened or updated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PullRequest {
    /// The number of the pull request.
    pub number: u64,
    /// The URL of its web page.
    pub url: String,
    /// Whether it existed before and was updated.
    pub updated_existing: bool,
}

/// The detailed result of an update.
#[derive(Debug, Clone, Serialize)]
pub struct FlakeUpdateResult {
    /// Whether there was an update, and whether all hosts build.
    pub state: FlakeUpdateState,
    /// Whether this was a dry run, which pushes nothing.
    pub dry_run: bool,
    /// The base branch, which is updated.
    pub base: String,
    /// The update branch.
    pub branch: String,
    /// The commit of the base branch before the update.
    pub before: String,
    /// The commit of the update; `None` if there was nothing to update.
    pub commit: Option<String>,
    /// The build results of all hosts.
    pub hosts: Vec<BuildHost>,
    /// Names in the flake that are not valid host names.
    pub skipped: Vec<String>,
    /// The branch that was pushed, if any.
    pub pushed: Option<String>,
    /// The pull request, if one was opened or updated.
    pub pull_request: Option<PullRequest>,
    /// Why no pull request was opened although a host does not build, and what to do.
    pub no_pull_request_reason: Option<String>,
    /// Why the hosts could not be listed.
    pub list_error: Option<String>,
}
