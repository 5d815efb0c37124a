//! Finds the commits between what hosts run and the heads of their branch, in clones of the repositories.

use super::CommitClones;
use super::heads::{head_error, remote, shown_flake};
use crate::fleet::{
    CommitInfo, CommitPosition, CommitQuery, ComparedCommit, FleetCommits, HeadCommits, MAX_LISTED_COMMITS,
};
use crate::git::{CommitLog, Credentials, LoggedCommit, Remote};
use crate::protocol::Revision;
use crate::text::printable;
use futures_util::{Stream, StreamExt as _, stream};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::timeout;

/// Maximum number of repositories that are read at the same time.
const MAX_PARALLEL: usize = 4;
/// Timeout of commands, which wait for the commits, for each repository.
pub const COMMITS_WITHIN: Duration = Duration::from_secs(20);

/// Finds the commits of a query, and returns those of each flake as soon as they are known. `within` limits the time for
/// each repository. Git never prompts on the terminal. Dropping the stream stops all git processes.
///
/// `credentials` are sent only to their own servers, as by [`heads`](super::heads()).
pub fn flake_commits(
    query: CommitQuery,
    clones: Option<CommitClones>,
    within: Duration,
    credentials: &Credentials,
) -> impl Stream<Item = FleetCommits> {
    let CommitQuery { branch, flakes } = query;
    stream::iter(flakes)
        .map(move |(flake, heads)| {
            let (branch, clones) = (branch.clone(), clones.clone());
            async move {
                let found = match &clones {
                    None => Err("the cache directory is unknown; set HOME or XDG_CACHE_HOME".to_owned()),
                    Some(clones) => {
                        let found = of_flake(&flake, &branch, heads, clones, credentials);
                        let late = || format!("no answer within {} s", within.as_secs_f32());
                        timeout(within, found).await.unwrap_or_else(|_| Err(late()))
                    }
                };
                let mut commits = FleetCommits::default();
                match found {
                    Ok(found) => drop(commits.by_flake.insert(flake, found)),
                    Err(reason) => {
                        let reason = format!("commits of {} are unknown: {reason}", shown_flake(&flake));
                        commits.failures.insert(flake, printable(&reason));
                    }
                }
                commits
            }
        })
        .buffer_unordered(MAX_PARALLEL)
}

/// Finds all commits of a query, like [`flake_commits`].
pub async fn commits(
    query: CommitQuery,
    clones: Option<CommitClones>,
    within: Duration,
    credentials: &Credentials,
) -> FleetCommits {
    let found = flake_commits(query, clones, within, credentials);
    found
        .fold(FleetCommits::default(), async |mut all, found| {
            all.extend(found);
            all
        })
        .await
}

async fn of_flake(
    flake: &str,
    branch: &Revision,
    heads: BTreeMap<String, BTreeSet<String>>,
    clones: &CommitClones,
    credentials: &Credentials,
) -> Result<BTreeMap<String, HeadCommits>, String> {
    let remote = remote(flake, credentials).map_err(|error| error.to_string())?;
    let clone = clones.lock(&remote.url).await.map_err(|error| error.to_string())?;
    let mut found = BTreeMap::new();
    for (head, running) in heads {
        let commits = of_head(&clone.dir, &remote, branch, &head, running).await;
        found.insert(head, commits.map_err(head_error)?);
    }
    Ok(found)
}

async fn of_head(
    dir: &std::path::Path,
    remote: &Remote,
    branch: &Revision,
    head: &str,
    running: BTreeSet<String>,
) -> Result<HeadCommits, crate::git::ResolveError> {
    let log = CommitLog::open(dir, remote, branch, head).await?;
    let mut compared = BTreeMap::new();
    for commit in running {
        let comparison = compare(&log, &commit).await?;
        compared.insert(commit, comparison);
    }
    let info = log.commit(head).await?.as_ref().map(info);
    let head = info.unwrap_or_else(|| CommitInfo::new(head, "", "", 0));
    Ok(HeadCommits { head, running: compared })
}

async fn compare(log: &CommitLog<'_>, commit: &str) -> Result<ComparedCommit, crate::git::ResolveError> {
    let Some(distance) = log.distance(commit).await? else {
        let position = if log.is_complete() { CommitPosition::NotOnBranch } else { CommitPosition::Unknown };
        return Ok(ComparedCommit { info: None, position, behind: 0, newer: Vec::new() });
    };
    let position = match (distance.ahead, distance.behind) {
        (0, _) => CommitPosition::OnBranch,
        (ahead, 0) => CommitPosition::Ahead(ahead),
        _ => CommitPosition::NotOnBranch,
    };
    let newer = match distance.behind {
        0 => Vec::new(),
        _ => log.since(commit, MAX_LISTED_COMMITS).await?.iter().map(info).collect(),
    };
    let info = log.commit(commit).await?.as_ref().map(info);
    Ok(ComparedCommit { info, position, behind: distance.behind, newer })
}

fn info(commit: &LoggedCommit) -> CommitInfo {
    CommitInfo::new(&commit.id, &commit.subject, &commit.author, commit.seconds)
}
