//! `hosts --outdated`: list hosts that do not run the head of their branch.

use super::super::exit::{CommandError, Exit};
use super::super::output::{Format, Output};
use super::super::{render, replies};
use super::HostJson;
use crate::client::{COMMITS_WITHIN, Discovery, HEADS_WITHIN, Operator, commits, heads};
use crate::fleet::{
    BranchHeads, CommitPosition, CommitQuery, Fleet, FleetCommits, Host, Outdated, UnknownReason,
};
use crate::protocol::Revision;
use crate::text::printable;
use serde::Serialize;
use std::collections::BTreeMap;

/// Maximum number of notes about flakes that were not queried.
const MAX_UNQUERIED: usize = 10;

/// JSON form of how a host compares to the head of its branch.
#[derive(Clone, Copy, Serialize)]
pub(super) struct OutdatedJson<'a> {
    /// `outdated` or `unknown`.
    state: &'static str,
    branch: &'a Revision,
    /// The commit that the host should run.
    #[serde(skip_serializing_if = "Option::is_none")]
    head: Option<&'a str>,
    /// The number of commits of the branch that the host does not have, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    commits_behind: Option<usize>,
    /// The number of further commits of a host that has all commits of the branch.
    #[serde(skip_serializing_if = "Option::is_none")]
    commits_ahead: Option<usize>,
    /// `false` for a commit that is not in the history of the branch.
    #[serde(skip_serializing_if = "Option::is_none")]
    on_branch: Option<bool>,
    /// `no_commit`, `no_flake` or `no_head`.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

/// Looks up the heads and prints the outdated hosts. The exit is a failure if a head was not found.
pub(super) async fn print(
    discovery: &Discovery,
    branch: &Revision,
    operator: &Operator,
    format: Format,
    out: &mut Output,
) -> Result<Exit, CommandError> {
    let (heads, commits) = tokio::select! {
        found = look_up(&discovery.fleet, branch, operator) => found,
        _ = tokio::signal::ctrl_c() => {
            return Err(CommandError { exit: Exit::Interrupted, error: anyhow::anyhow!("interrupted") });
        }
    };
    let mut failures: Vec<_> = heads.failures().map(str::to_owned).collect();
    failures.extend(unqueried(&discovery.fleet));
    // The number of commits is optional: without it, the hosts are still known to be outdated.
    let notes: Vec<_> = failures.iter().chain(commits.failures.values()).cloned().collect();
    let found = (&heads, &commits);
    match format {
        Format::Json => print_json(discovery, found, &notes, out),
        Format::Human => print_text(discovery, found, &notes, out),
    }
    Ok(match failures.first() {
        _ if discovery.answered.is_empty() => Exit::NoAnswer,
        Some(_) => Exit::Failure,
        None => Exit::Success,
    })
}

/// Looks up the heads, then the commits between them and what outdated hosts run.
async fn look_up(fleet: &Fleet, branch: &Revision, operator: &Operator) -> (BranchHeads, FleetCommits) {
    let credentials = &operator.credentials;
    let heads = heads(fleet.flakes(), branch, HEADS_WITHIN, credentials).await;
    let mut query = CommitQuery::of(&heads, fleet);
    query
        .flakes
        .retain(|_, heads| heads.iter().any(|(head, running)| running.iter().any(|commit| commit != head)));
    let commits = commits(query, operator.clones.clone(), COMMITS_WITHIN, credentials).await;
    (heads, commits)
}

/// Notes about hosts whose flakes were not queried.
fn unqueried(fleet: &Fleet) -> Vec<String> {
    let errors: Vec<_> = fleet.flake_errors().into_values().map(|error| error.to_string()).collect();
    let more = errors.len().saturating_sub(MAX_UNQUERIED);
    let more = (more > 0).then(|| format!("the flakes of {more} more hosts were not queried either"));
    errors.into_iter().take(MAX_UNQUERIED).chain(more).collect()
}

fn print_json(
    discovery: &Discovery,
    (heads, commits): (&BranchHeads, &FleetCommits),
    notes: &[String],
    out: &mut Output,
) {
    let branch = &heads.branch;
    let unknown = OutdatedJson {
        state: "unknown",
        branch,
        head: None,
        commits_behind: None,
        commits_ahead: None,
        on_branch: None,
        reason: None,
    };
    for host in discovery.fleet.hosts_by_name() {
        let outdated = match heads.outdated(host) {
            Outdated::No => continue,
            Outdated::Yes { head } => {
                let commit = commits.of_host(host, heads);
                let position = commit.map(|commit| commit.position);
                OutdatedJson {
                    state: "outdated",
                    head: Some(head),
                    commits_behind: commit
                        .filter(|commit| commit.position == CommitPosition::OnBranch)
                        .map(|commit| commit.behind),
                    commits_ahead: match position {
                        Some(CommitPosition::Ahead(ahead)) => Some(ahead),
                        _ => None,
                    },
                    on_branch: (position == Some(CommitPosition::NotOnBranch)).then_some(false),
                    ..unknown
                }
            }
            Outdated::Unknown(why) => OutdatedJson { reason: Some(why.as_str()), ..unknown },
        };
        out.json(&HostJson { outdated: Some(outdated), ..HostJson::new(host, discovery.at) });
    }
    for note in notes {
        out.event("note", note);
    }
}

fn print_text(
    discovery: &Discovery,
    (heads, commits): (&BranchHeads, &FleetCommits),
    notes: &[String],
    out: &mut Output,
) {
    let hosts = discovery.fleet.hosts_by_name();
    if hosts.is_empty() {
        return out.line(replies::NO_HOSTS);
    }
    let mut outdated: Vec<(&Host, &str)> = Vec::new();
    let mut unknown: BTreeMap<UnknownReason, Vec<&str>> = BTreeMap::new();
    for host in hosts {
        match heads.outdated(host) {
            Outdated::No => {}
            Outdated::Yes { head } => outdated.push((host, head)),
            Outdated::Unknown(why) => unknown.entry(why).or_default().push(host.name.as_str()),
        }
    }
    match outdated.is_empty() {
        false => out.line(&render::outdated(&outdated, heads, commits, discovery.at)),
        true if unknown.is_empty() => out.line(&format!("no host is outdated (branch {})", heads.branch)),
        true => out.line(&format!("no host is known to be outdated (branch {})", heads.branch)),
    }
    for note in notes {
        out.line(&format!("note: {}", printable(note)));
    }
    for (why, hosts) in unknown {
        out.line(&format!("note: unknown for {}: {}", hosts.join(", "), why.describe()));
    }
    replies::note_unreadable(&discovery.unreadable, Format::Human, out);
    replies::warn_unrecorded(discovery, Format::Human, out);
}
