//! The commits between what hosts run and what a dry run has built.

use crate::client::DeploymentSummary;
use crate::fleet::{CommitInfo, CommitPosition, CommitQuery, ComparedCommit, Fleet, FleetCommits};
use crate::protocol::{Name, Revision, is_commit};
use crate::text::format;
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;

/// JSON form of the commits between two commits.
#[derive(Serialize)]
pub(in crate::cli) struct CommitsJson<'a> {
    /// The commit that the hosts run.
    from: &'a str,
    /// The commit that was built.
    to: &'a str,
    hosts: Vec<&'a Name>,
    /// The number of commits that the hosts would get, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<usize>,
    /// The newest of these commits, newest first.
    commits: &'a [CommitInfo],
    #[serde(skip)]
    compared: &'a ComparedCommit,
}

/// Where a host is between two commits of a flake.
struct HostCommits<'a> {
    host: &'a Name,
    flake: &'a str,
    from: &'a str,
    to: &'a str,
}

/// The hosts that would get another commit, of flakes that may be looked up.
fn changed<'a>(summary: &'a DeploymentSummary, fleet: &'a Fleet) -> Vec<HostCommits<'a>> {
    let known = fleet.flakes();
    let of = |result: &'a crate::client::HostResult| {
        let answer = fleet.hosts.get(&result.host)?.answer.as_deref()?;
        let (flake, from) = (answer.flake_url.as_deref()?, answer.commit.as_deref()?);
        let to = result.report.as_deref()?.commit.as_deref()?;
        let is_known = known.contains(flake) && is_commit(from) && is_commit(to);
        (is_known && from != to).then_some(HostCommits { host: &result.host, flake, from, to })
    };
    summary.hosts.iter().filter_map(of).collect()
}

/// The commits to look up.
pub(in crate::cli) fn commits_query(
    summary: &DeploymentSummary,
    fleet: &Fleet,
    revision: &Revision,
) -> CommitQuery {
    let mut query = CommitQuery::new(revision.clone());
    for HostCommits { flake, from, to, .. } in changed(summary, fleet) {
        let heads = query.flakes.entry(flake.to_owned()).or_default();
        heads.entry(to.to_owned()).or_default().insert(from.to_owned());
    }
    query
}

impl<'a> CommitsJson<'a> {
    /// The commits that hosts would get. Hosts with the same commits are together.
    pub(in crate::cli) fn all(
        summary: &'a DeploymentSummary,
        fleet: &'a Fleet,
        commits: &'a FleetCommits,
    ) -> Vec<Self> {
        let mut groups: BTreeMap<(&str, &str, &str), Vec<&Name>> = BTreeMap::new();
        for HostCommits { host, flake, from, to } in changed(summary, fleet) {
            groups.entry((flake, from, to)).or_default().push(host);
        }
        let json = |((flake, from, to), hosts)| {
            let compared = commits.compared(flake, to, from)?;
            let is_counted = compared.info.is_some();
            Some(Self {
                from,
                to,
                hosts,
                count: is_counted.then_some(compared.behind),
                commits: &compared.newer,
                compared,
            })
        };
        groups.into_iter().filter_map(json).collect()
    }
}

/// The commits as text, with a heading.
pub(in crate::cli) fn commits(commits: &CommitsJson<'_>, now: Timestamp) -> String {
    let [from, to] = [commits.from, commits.to].map(format::short_commit);
    let hosts: Vec<_> = commits.hosts.iter().map(|host| host.as_str()).collect();
    let compared = commits.compared;
    let what = match compared.position {
        CommitPosition::OnBranch => String::new(),
        CommitPosition::Ahead(ahead) => format!(", which is {} older", format::count(ahead, "commit")),
        CommitPosition::NotOnBranch => format!("; {from} is not in the history of {to}"),
        CommitPosition::Unknown => "; the repository is shallow and does not have both".to_owned(),
    };
    let mut lines = vec![format!("commits from {from} to {to} on {}{what}", hosts.join(", "))];
    lines.extend(commits.commits.iter().map(|commit| format!("  {}", commit.describe(now))));
    let rest = compared.unlisted();
    if rest > 0 {
        lines.push(format!("  and {}", format::count(rest, "older commit")));
    }
    lines.join("\n")
}
