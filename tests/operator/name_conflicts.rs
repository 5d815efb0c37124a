//! Two listeners with the same host name.

use crate::common::{Host, HostBuilder, NatsServer, RawClient, operator, run};
use serde_json::Value;

/// The instance id of a listener.
fn instance(host: &Host) -> String {
    let identity = std::fs::read(host.file("state/identity.json")).unwrap();
    let identity: Value = serde_json::from_slice(&identity).unwrap();
    identity["instance"].as_str().unwrap().to_owned()
}

/// Two hosts named web1. Deployments on the second one run `exit`.
fn conflicting_hosts(nats: &NatsServer, exit: &str) -> [Host; 2] {
    ["true", exit].map(|script| HostBuilder::new(nats, "web1", "test", "web").script(script).start())
}

#[test]
fn a_name_conflict_is_refused_and_nothing_is_sent() {
    let nats = NatsServer::start();
    let hosts = conflicting_hosts(&nats, "true");
    let wire = RawClient::connect(&nats, "everything");
    let requests = wire.subscribe("deploy.test.>");
    // Each operator queries for the first time, because an operator that knows the name waits for only one answer.
    for (user, args) in [
        ("tester", &["deploy", "web1"][..]),
        ("admin", &["deploy", "web1", "--action", "build"]),
        ("mcp", &["cancel", "web1"]),
    ] {
        let refused = run(operator(&nats, user).args(args), 2);
        refused.assert_stderr(&["2 listeners claim the name web1", "--hostname; nothing was sent"]);
        refused.assert_stderr(&hosts.each_ref().map(instance).each_ref().map(String::as_str));
    }
    wire.round_trip();
    assert_eq!(requests.received().len(), 0);
}

#[test]
fn hosts_shows_a_name_conflict() {
    let nats = NatsServer::start();
    let _hosts = conflicting_hosts(&nats, "true");
    let listed = run(operator(&nats, "tester").arg("hosts"), 0);
    assert!(listed.stdout.contains("two hosts with this name"), "{listed}");
    let listed = run(operator(&nats, "admin").args(["hosts", "--output", "json"]), 0).json();
    assert_eq!(listed[0]["name_conflict"], true);
}

#[test]
fn an_explicit_subject_reaches_both_hosts_and_both_are_shown() {
    let nats = NatsServer::start();
    let hosts = conflicting_hosts(&nats, "exit 1");
    let names = hosts.each_ref().map(instance);
    let failed = run(operator(&nats, "tester").args(["deploy", "deploy.test.web1"]), 1);
    for (instance, result) in names.iter().zip(["completed", "failed"]) {
        let row = failed.stdout.lines().find(|line| line.starts_with(&format!("web1 ({instance})")));
        assert!(row.is_some_and(|row| row.contains(result)), "{failed}");
    }
}
