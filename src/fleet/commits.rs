//! The commits between what hosts run and the heads of their branch.

use super::{BranchHeads, Fleet, Host};
use crate::ordered::CollectOrdered;
use crate::protocol::Revision;
use crate::text::{fitting_prefix, format, printable};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Maximum number of running commits of one flake that are compared with its head. The most common ones come first.
const MAX_RUNNING: usize = 50;
/// Maximum number of listed commits between a running commit and the head.
pub const MAX_LISTED_COMMITS: usize = 20;
/// Maximum size of a subject and of an author, in bytes.
const MAX_SUBJECT: usize = 200;
const MAX_AUTHOR: usize = 60;

/// A commit with strings that are safe to print.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CommitInfo {
    /// The commit, 40 hexadecimal digits.
    pub commit: String,
    /// The first line of its message, truncated.
    pub subject: String,
    /// The name of its author, truncated.
    pub author: String,
    /// When it was committed, by the clock of the committer.
    pub at: Timestamp,
}

/// How a running commit relates to the head of its branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitPosition {
    /// In the history of the head.
    OnBranch,
    /// It contains the head, and this number of further commits.
    Ahead(usize),
    /// Neither contains the other, or the repository does not have it.
    NotOnBranch,
    /// The repository is shallow and does not show it.
    Unknown,
}

/// A running commit, compared with the head of its branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComparedCommit {
    /// Its description, if the repository has it.
    pub info: Option<CommitInfo>,
    /// How it relates to the head.
    pub position: CommitPosition,
    /// The number of commits of the head that it does not contain.
    pub behind: usize,
    /// The newest of these commits, newest first, at most [`MAX_LISTED_COMMITS`].
    pub newer: Vec<CommitInfo>,
}

/// The head of a branch, and the running commits that were compared with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadCommits {
    /// The head.
    pub head: CommitInfo,
    /// The running commits.
    pub running: BTreeMap<String, ComparedCommit>,
}

/// Which commits to compare with which heads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitQuery {
    /// The branch of the heads.
    pub branch: Revision,
    /// The heads of each flake, and the running commits to compare with each.
    pub flakes: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
}

/// The commits that were found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FleetCommits {
    /// By flake and head.
    pub by_flake: BTreeMap<String, BTreeMap<String, HeadCommits>>,
    /// Why the commits of a flake are unknown.
    pub failures: BTreeMap<String, String>,
}

impl CommitInfo {
    /// A commit as git describes it. `seconds` is its time since 1970.
    pub fn new(commit: &str, subject: &str, author: &str, seconds: i64) -> Self {
        Self {
            commit: commit.to_owned(),
            subject: shortened(subject, MAX_SUBJECT),
            author: shortened(author, MAX_AUTHOR),
            at: Timestamp::from_second(seconds).unwrap_or_default(),
        }
    }

    /// `b04c7de nginx: brotli by alice, 35 min ago`
    pub fn describe(&self, now: Timestamp) -> String {
        let Self { commit, subject, author, at } = self;
        format!("{} {subject} by {author}, {} ago", format::short_commit(commit), format::age(*at, now))
    }
}

/// Text of a repository, safe to print and truncated.
fn shortened(text: &str, max: usize) -> String {
    let text = printable(text);
    let text = text.trim();
    let start = fitting_prefix(text, max);
    if start.len() < text.len() { format!("{start}…") } else { text.to_owned() }
}

impl ComparedCommit {
    /// `2 commits behind main`; `None` for the head itself and if it is unknown.
    pub fn describe(&self, branch: &Revision) -> Option<String> {
        match self.position {
            CommitPosition::OnBranch if self.behind == 0 => None,
            CommitPosition::OnBranch => {
                Some(format!("{} behind {branch}", format::count(self.behind, "commit")))
            }
            CommitPosition::Ahead(ahead) => {
                Some(format!("{} ahead of {branch}", format::count(ahead, "commit")))
            }
            CommitPosition::NotOnBranch => Some(format!("not on {branch}")),
            CommitPosition::Unknown => None,
        }
    }

    /// The number of commits that [`Self::newer`] leaves out.
    pub fn unlisted(&self) -> usize {
        self.behind.saturating_sub(self.newer.len())
    }
}

impl CommitQuery {
    /// A query without commits.
    pub fn new(branch: Revision) -> Self {
        Self { branch, flakes: BTreeMap::new() }
    }

    /// The heads of all flakes, and the commits that the hosts run.
    pub fn of(heads: &BranchHeads, fleet: &Fleet) -> Self {
        let mut running: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
        for host in fleet.hosts.values() {
            if let Some((flake, commit)) = flake(host).zip(host.commit()) {
                *running.entry(flake).or_default().entry(commit).or_default() += 1;
            }
        }
        let mut query = Self::new(heads.branch.clone());
        let found = heads.by_flake.iter().filter_map(|(flake, head)| Some((flake, head.as_ref().ok()?)));
        for (flake, head) in found {
            let commits = running.remove(flake.as_str()).unwrap_or_default();
            let mut commits: Vec<_> = commits.into_iter().collect();
            commits.sort_unstable_by_key(|(commit, hosts)| (std::cmp::Reverse(*hosts), *commit));
            let commits = commits.into_iter().take(MAX_RUNNING).map(|(commit, _)| commit.to_owned());
            query.flakes.insert(flake.clone(), [(head.clone(), commits.collect_set())].into());
        }
        query
    }
}

impl FleetCommits {
    /// The comparison of the commit that a host runs with the head of its branch, if both are known.
    pub fn of_host(&self, host: &Host, heads: &BranchHeads) -> Option<&ComparedCommit> {
        let flake = flake(host)?;
        let head = heads.by_flake.get(flake)?.as_ref().ok()?;
        self.compared(flake, head, host.commit()?)
    }

    /// The comparison of a running commit with a head of its flake.
    pub fn compared(&self, flake: &str, head: &str, running: &str) -> Option<&ComparedCommit> {
        self.by_flake.get(flake)?.get(head)?.running.get(running)
    }

    /// The description of a commit.
    pub fn info(&self, commit: &str) -> Option<&CommitInfo> {
        let mut heads = self.by_flake.values().flat_map(BTreeMap::values);
        heads.find_map(|head| match head.running.get(commit) {
            _ if head.head.commit == commit => Some(&head.head),
            Some(compared) => compared.info.as_ref(),
            None => None,
        })
    }

    /// Adds the commits of other flakes. What was known of the same flakes is replaced.
    pub fn extend(&mut self, found: Self) {
        for flake in found.by_flake.keys() {
            self.failures.remove(flake);
        }
        self.by_flake.extend(found.by_flake);
        self.failures.extend(found.failures);
    }
}

fn flake(host: &Host) -> Option<&str> {
    host.answer.as_deref()?.flake_url.as_deref()
}
