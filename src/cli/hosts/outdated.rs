//! `hosts --outdated`: which hosts are behind the head of their branch.

use super::super::exit::{Exit, Failed};
use super::super::out::{Format, Out};
use super::super::{render, replies};
use super::Shown;
use crate::deployer::{Discovery, HEADS_WITHIN, heads};
use crate::fleet::{Fleet, Heads, Host, Lag, Why};
use crate::nix::Credentials;
use crate::protocol::{Revision, printable};
use serde::Serialize;
use std::collections::BTreeMap;

/// How many hosts are named whose flakes were not asked.
const MOST_UNASKED: usize = 10;

/// How a host stands to its head, as JSON.
#[derive(Serialize)]
pub(super) struct Outdated<'a> {
    /// `behind` or `unknown`.
    state: &'static str,
    branch: &'a Revision,
    /// The commit that it should run.
    #[serde(skip_serializing_if = "Option::is_none")]
    head: Option<&'a str>,
    /// `no_commit`, `no_flake` or `no_head`.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

/// Looks up the heads and tells which hosts are behind; gives whether every head was found.
pub(super) async fn tell(
    discovery: &Discovery,
    branch: &Revision,
    credentials: &Credentials,
    format: Format,
    out: &mut Out,
) -> Result<Exit, Failed> {
    let heads = tokio::select! {
        heads = heads(discovery.fleet.flakes(), branch, HEADS_WITHIN, credentials) => heads,
        _ = tokio::signal::ctrl_c() => {
            return Err(Failed { exit: Exit::Interrupted, error: anyhow::anyhow!("interrupted") });
        }
    };
    let mut failures: Vec<_> = heads.failures().map(str::to_owned).collect();
    failures.extend(unasked(&discovery.fleet));
    match format {
        Format::Json => json(discovery, &heads, &failures, out),
        Format::Human => human(discovery, &heads, &failures, out),
    }
    Ok(match failures.first() {
        _ if discovery.answered.is_empty() => Exit::Silent,
        Some(_) => Exit::Failed,
        None => Exit::Done,
    })
}

/// Why the flakes of some hosts were not asked, a sentence each.
fn unasked(fleet: &Fleet) -> Vec<String> {
    let errors: Vec<_> = fleet.flake_errors().into_values().map(|error| error.to_string()).collect();
    let more = errors.len().saturating_sub(MOST_UNASKED);
    let more = (more > 0).then(|| format!("the flakes of {more} more hosts were not asked either"));
    errors.into_iter().take(MOST_UNASKED).chain(more).collect()
}

fn json(discovery: &Discovery, heads: &Heads, failures: &[String], out: &mut Out) {
    let branch = &heads.branch;
    for host in discovery.fleet.hosts_by_name() {
        let outdated = match heads.lag(host) {
            Lag::Current => continue,
            Lag::Behind { head } => Outdated { state: "behind", branch, head: Some(head), reason: None },
            Lag::Unknown(why) => {
                Outdated { state: "unknown", branch, head: None, reason: Some(why.as_str()) }
            }
        };
        out.json(&Shown { outdated: Some(outdated), ..Shown::new(host, discovery.at) });
    }
    for failure in failures {
        out.event("note", failure);
    }
}

fn human(discovery: &Discovery, heads: &Heads, failures: &[String], out: &mut Out) {
    let hosts = discovery.fleet.hosts_by_name();
    if hosts.is_empty() {
        return out.line(replies::NOBODY);
    }
    let mut behind: Vec<(&Host, &str)> = Vec::new();
    let mut unknown: BTreeMap<Why, Vec<&str>> = BTreeMap::new();
    for host in hosts {
        match heads.lag(host) {
            Lag::Current => {}
            Lag::Behind { head } => behind.push((host, head)),
            Lag::Unknown(why) => unknown.entry(why).or_default().push(host.name.as_str()),
        }
    }
    match behind.is_empty() {
        false => out.line(&render::outdated(&behind, &heads.branch, discovery.at)),
        true if unknown.is_empty() => out.line(&format!("no host is behind {}", heads.branch)),
        true => out.line(&format!("no host is known to be behind {}", heads.branch)),
    }
    for failure in failures {
        out.line(&format!("note: {}", printable(failure)));
    }
    for (why, hosts) in unknown {
        out.line(&format!("note: not known of {}: {}", hosts.join(", "), why.sentence()));
    }
    replies::note_unreadable(&discovery.unreadable, Format::Human, out);
    replies::warn_unlisted(discovery, Format::Human, out);
}
