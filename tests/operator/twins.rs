//! Two listeners that claim one name.

use crate::common::{Broker, Host, HostBuilder, Wire, operator, run};
use serde_json::Value;

/// What each listener calls itself, to be told apart.
fn instance(host: &Host) -> String {
    let identity = std::fs::read(host.file("state/identity.json")).unwrap();
    let identity: Value = serde_json::from_slice(&identity).unwrap();
    identity["instance"].as_str().unwrap().to_owned()
}

/// Two hosts, both called web1; the second one's deployments end as `exit` says.
fn twins(broker: &Broker, exit: &str) -> [Host; 2] {
    ["true", exit].map(|script| HostBuilder::new(broker, "web1", "test", "web").script(script).start())
}

#[test]
fn a_name_that_two_claim_is_refused_and_nothing_is_sent() {
    let broker = Broker::start();
    let hosts = twins(&broker, "true");
    let wire = Wire::connect(&broker, "everything");
    let ears = wire.listen("deploy.test.>");
    // Each operator asks for the first time: whoever knows the name waits for one answer only.
    for (user, args) in [
        ("tester", &["deploy", "web1"][..]),
        ("admin", &["deploy", "--all", "--tier", "test"]),
        ("mcp", &["cancel", "web1"]),
    ] {
        let refused = run(operator(&broker, user).args(args), 2);
        refused.complains(&["2 listeners claim the name web1", "--hostname, nothing was sent"]);
        refused.complains(&hosts.each_ref().map(instance).each_ref().map(String::as_str));
    }
    wire.round_trip();
    assert_eq!(ears.arrived().len(), 0);
}

#[test]
fn they_are_told_by_hosts() {
    let broker = Broker::start();
    let _hosts = twins(&broker, "true");
    let listed = run(operator(&broker, "tester").arg("hosts"), 0);
    assert!(listed.out.contains("two hosts with this name"), "{listed}");
    let listed = run(operator(&broker, "admin").args(["hosts", "--output", "json"]), 0).json();
    assert_eq!(listed[0]["two_of_one_name"], true);
}

#[test]
fn a_subject_that_was_spelled_out_reaches_both_and_both_are_shown() {
    let broker = Broker::start();
    let hosts = twins(&broker, "exit 1");
    let names = hosts.each_ref().map(instance);
    let failed = run(operator(&broker, "tester").args(["deploy", "deploy.test.web1"]), 1);
    for (instance, verdict) in names.iter().zip(["completed", "failed"]) {
        let row = failed.out.lines().find(|line| line.starts_with(&format!("web1 ({instance})")));
        assert!(row.is_some_and(|row| row.contains(verdict)), "{failed}");
    }
}
