//! Which targets receive which deployments.

use crate::chat_server::ChatServer;
use crate::stage::{Stage, webhook};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The targets that received a deployment, until two later ones were posted: targets do not wait for each other.
fn receivers(stage: &Stage, id: &str) -> BTreeSet<String> {
    let mut receivers = BTreeSet::new();
    for barrier in ["y", "z"] {
        stage.send(&stage.report("ns2", barrier, "completed"));
        loop {
            let posted = stage.chat.next();
            if posted.body["deployment"]["id"] == id {
                receivers.insert(posted.path[1..].to_owned());
            }
            if posted.path == "/z-all" && posted.body["deployment"]["id"] == barrier {
                break;
            }
        }
    }
    receivers
}

fn stage() -> Stage {
    let targets = |chat: &ChatServer| {
        [
            webhook(chat, "prod", "tiers = [\"prod\"]"),
            webhook(chat, "dns", "roles = [\"dns\", \"db\"]"),
            webhook(chat, "web1", "hosts = [\"web1\"]"),
            webhook(chat, "failed", "results = [\"failed\"]"),
            webhook(chat, "good", "results = [\"completed\"]"),
            webhook(chat, "builds", "actions = [\"build\"]"),
            webhook(chat, "both", "tiers = [\"test\"]\nroles = [\"dns\"]"),
            webhook(chat, "ends", "events = [\"end\"]"),
            webhook(chat, "first", "events = [\"failure\"]"),
            webhook(chat, "z-all", ""),
        ]
        .concat()
    };
    Stage::with(ChatServer::accepting(), targets, |notify| notify)
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn received(change: impl FnOnce(&mut Value), host: &str, status: &str) -> BTreeSet<String> {
    let stage = stage();
    let mut report = stage.report(host, "d1", status);
    change(&mut report);
    stage.send(&report);
    receivers(&stage, "d1")
}

#[test]
fn a_target_receives_what_its_filters_permit() {
    assert_eq!(received(|_| {}, "ns1", "completed"), set(&["prod", "dns", "good", "ends", "z-all"]));
    // A failure of the only host is posted at once. A target without failures receives the end.
    assert_eq!(received(|_| {}, "web1", "failed"), set(&["web1", "failed", "first", "ends", "z-all"]));
    assert_eq!(received(|_| {}, "db1", "rejected"), set(&["dns", "ends", "z-all"]));
    let cancelled = |report: &mut Value| report["error"] = json!("cancelled");
    assert_eq!(received(cancelled, "web2", "failed"), set(&["ends", "z-all"]));
    let build = |report: &mut Value| report["action"] = json!("build");
    assert_eq!(received(build, "web1", "completed"), set(&["builds"]));
}

#[test]
fn a_target_sees_only_its_hosts() {
    let stage = stage();
    for (host, status) in [("ns1", "completed"), ("web1", "completed"), ("db1", "rejected")] {
        stage.send(&stage.report(host, "d1", status));
    }
    let mut seen = std::collections::BTreeMap::new();
    while seen.len() < 6 {
        let posted = stage.chat.next();
        let hosts = posted.body["deployment"]["hosts"].as_array().unwrap();
        let hosts: Vec<_> = hosts.iter().map(|host| host["host"].as_str().unwrap().to_owned()).collect();
        seen.insert(posted.path[1..].to_owned(), hosts.join(" "));
    }
    let expected = [
        ("dns", "db1 ns1"),
        ("ends", "db1 ns1 web1"),
        ("good", "db1 ns1 web1"),
        ("prod", "ns1"),
        ("web1", "web1"),
        ("z-all", "db1 ns1 web1"),
    ];
    assert_eq!(seen, expected.map(|(name, hosts)| (name.to_owned(), hosts.to_owned())).into());
}
