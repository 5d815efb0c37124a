//! `hosts --outdated`: which hosts are behind the head of their branch.

use super::super::exit::{Exit, Failed};
use super::super::out::{Format, Out};
use super::super::{render, replies};
use super::Shown;
use crate::deployer::{Discovery, HEADS_WITHIN, heads};
use crate::fleet::{Heads, Host, Lag, Why};
use crate::protocol::{Revision, printable};
use serde::Serialize;
use std::collections::BTreeMap;

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
    format: Format,
    out: &mut Out,
) -> Result<Exit, Failed> {
    let heads = tokio::select! {
        heads = heads(discovery.fleet.flakes(), branch, HEADS_WITHIN) => heads,
        _ = tokio::signal::ctrl_c() => {
            return Err(Failed { exit: Exit::Interrupted, error: anyhow::anyhow!("interrupted") });
        }
    };
    match format {
        Format::Json => json(discovery, &heads, out),
        Format::Human => human(discovery, &heads, out),
    }
    Ok(match heads.failures().next() {
        _ if discovery.answered.is_empty() => Exit::Silent,
        Some(_) => Exit::Failed,
        None => Exit::Done,
    })
}

fn json(discovery: &Discovery, heads: &Heads, out: &mut Out) {
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
    for failure in heads.failures() {
        out.event("note", failure);
    }
}

fn human(discovery: &Discovery, heads: &Heads, out: &mut Out) {
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
    for failure in heads.failures() {
        out.line(&format!("note: {}", printable(failure)));
    }
    for (why, hosts) in unknown {
        out.line(&format!("note: not known of {}: {}", hosts.join(", "), why.sentence()));
    }
    replies::note_unreadable(&discovery.unreadable, Format::Human, out);
}
