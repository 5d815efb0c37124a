//! The commits that the console has read from clones of the repositories.

use super::Effect;
use crate::fleet::{BranchHeads, CommitInfo, CommitQuery, ComparedCommit, FleetCommits, Host};

/// Commits of the flakes, and what was requested.
#[derive(Debug, Default)]
pub struct KnownCommits {
    found: FleetCommits,
    requested: Option<CommitQuery>,
    /// The number of flakes that are still read.
    pending: usize,
    /// Whether a failure was shown.
    has_shown_failure: bool,
}

impl KnownCommits {
    /// The effect that reads the commits of a query, unless they were requested before or others are being read.
    pub(super) fn request(&mut self, query: CommitQuery) -> Option<Effect> {
        if self.pending > 0 || query.flakes.is_empty() || self.requested.as_ref() == Some(&query) {
            return None;
        }
        self.pending = query.flakes.len();
        self.requested = Some(query.clone());
        Some(Effect::Commits(Box::new(query)))
    }

    /// Adds the commits of a flake. Returns why they are unknown, the first time that this happens.
    pub(super) fn add(&mut self, found: FleetCommits) -> Option<String> {
        self.pending = self.pending.saturating_sub(1);
        self.found.extend(found);
        let failure = self.found.failures.values().next().filter(|_| !self.has_shown_failure).cloned();
        self.has_shown_failure |= failure.is_some();
        failure
    }

    /// Makes another request of the same commits possible if some are unknown.
    pub(super) fn retry_failures(&mut self) {
        if !self.found.failures.is_empty() {
            self.found.failures.clear();
            self.requested = None;
        }
    }

    /// Whether no commits are known.
    pub fn is_empty(&self) -> bool {
        self.found.by_flake.is_empty()
    }

    /// Whether commits are being read.
    pub fn is_loading(&self) -> bool {
        self.pending > 0
    }

    /// The commit that a host runs, compared with the head of its branch.
    pub fn of_host(&self, host: &Host, heads: Option<&BranchHeads>) -> Option<&ComparedCommit> {
        self.found.of_host(host, heads?)
    }

    /// The description of a commit.
    pub fn info(&self, commit: &str) -> Option<&CommitInfo> {
        self.found.info(commit)
    }
}
