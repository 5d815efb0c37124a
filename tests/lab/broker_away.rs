//! The broker away during build: completed. Away in verify and back in time: completed; away for longer: rolled back, and
//! told later.

use crate::common::eventually;
use crate::harness::{Closure, Fault, Lab, Point};
use serde_json::json;

#[test]
fn a_broker_that_was_away_refuses_connections_and_finds_its_hosts_again() {
    let mut lab = Lab::new();
    let host = lab.boot("web1");
    let before = lab.online("web1");
    lab.stop_broker();
    let refused = host.run(&lab.knock());
    assert!(refused.err.contains("Connection refused"), "{refused}");
    lab.start_broker();
    host.sh(&lab.knock());
    assert_eq!(lab.online("web1")["instance"], before["instance"]);
    let report = lab.request("web1", "again", &json!({"action": "test"})).verdict();
    assert_eq!(report["status"], "completed", "{report}");
}

#[test]
fn a_broker_that_is_away_during_build_does_no_harm() {
    let mut lab = Lab::deploying(&[]);
    let host = lab.boot("web1");
    let hold = host.hold(Point::Build);
    lab.flake.commit(&Closure::new("next").fault(Fault::HoldsAt(Point::Build)));
    let _reports = lab.request("web1", "j-1", &json!({}));
    hold.reached();
    lab.stop_broker();
    hold.pass();
    // It does not begin to activate before it could tell and prove how that went.
    host.logs("j-1", "waiting for the server to answer");
    assert_eq!(host.label(), "base");
    lab.start_broker();
    let report = lab.verdict("web1");
    assert_eq!(report["status"], "completed", "{report}");
    host.ended("j-1", &report, "next");
}

#[test]
fn a_broker_that_is_away_in_verify_and_back_in_time_is_waited_for() {
    let mut lab = Lab::deploying(&["--confirm-timeout 2"]);
    let host = lab.boot("web1");
    let hold = host.hold(Point::Units);
    lab.flake.commit(&Closure::new("next").fault(Fault::HoldsAt(Point::Units)));
    let _reports = lab.request("web1", "j-1", &json!({}));
    hold.reached();
    lab.stop_broker();
    hold.pass();
    // Refused proves the network: it waits far longer than for a network that is away.
    host.proof_says("j-1", "refused\":true");
    lab.start_broker();
    let report = lab.verdict("web1");
    assert_eq!(report["status"], "completed", "{report}");
    host.ended("j-1", &report, "next");
}

#[test]
fn a_broker_that_does_not_answer_for_longer_is_no_proof() {
    let lab = Lab::deploying(&["--confirm-timeout 5"]);
    let host = lab.boot("web1");
    let hold = host.hold(Point::Units);
    lab.flake.commit(&Closure::new("next").fault(Fault::HoldsAt(Point::Units)));
    let _reports = lab.request("web1", "j-1", &json!({}));
    hold.reached();
    // Nobody refuses either: from here it looks like a host that cut itself off.
    host.cut();
    hold.pass();
    host.logs("j-1", "going back has not succeeded yet");
    // It runs its old system, and waits until that is connected.
    assert_eq!(host.label(), "base");
    host.restore();
    let report = lab.verdict("web1");
    assert_eq!(
        (&report["error"], &report["rolled_back"]),
        (&json!("verification_failed"), &json!(true)),
        "{report}"
    );
    host.ended("j-1", &report, "base");
}

#[test]
fn a_listener_is_ready_without_a_broker_and_says_how_it_stands() {
    let mut lab = Lab::new();
    let host = lab.boot("web1");
    lab.stop_broker();
    host.sh("systemctl restart homelab-deploy-listener.service");
    assert_eq!(host.unit("homelab-deploy-listener.service").active, "active");
    let status = || host.sh("systemctl show --property StatusText --value homelab-deploy-listener.service");
    eventually("what it says", || status().starts_with("not connected to nats://").then_some(()));
    lab.start_broker();
    lab.online("web1");
    eventually("what it says", || status().starts_with("connected to nats://").then_some(()));
}
