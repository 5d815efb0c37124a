//! Outages of the NATS server. During the build: the job completes. In verify: the job completes if the server is back
//! in time; otherwise the host rolls back and reports it later.

use crate::common::eventually;
use crate::harness::{Closure, Fault, Lab, Point};
use serde_json::json;

#[test]
fn hosts_reconnect_after_a_nats_outage() {
    let mut lab = Lab::new();
    let host = lab.boot("web1");
    let before = lab.online("web1");
    lab.stop_nats();
    let refused = host.run(&lab.connect_command());
    assert!(refused.stderr.contains("Connection refused"), "{refused}");
    lab.start_nats();
    host.sh(&lab.connect_command());
    assert_eq!(lab.online("web1")["instance"], before["instance"]);
    let report = lab.request("web1", "again", &json!({"action": "test"})).final_report();
    assert_eq!(report["status"], "completed", "{report}");
}

#[test]
fn nats_outage_during_build_does_no_harm() {
    let mut lab = Lab::deploying(&[]);
    let host = lab.boot("web1");
    let hold = host.hold(Point::Build);
    lab.flake.commit(&Closure::new("next").fault(Fault::HoldsAt(Point::Build)));
    let _reports = lab.request("web1", "j-1", &json!({}));
    hold.reached();
    lab.stop_nats();
    hold.pass();
    // The activation does not start before the host can report and confirm its result.
    host.wait_for_log("j-1", "waiting for the NATS server to answer");
    assert_eq!(host.label(), "base");
    lab.start_nats();
    let report = lab.final_report("web1");
    assert_eq!(report["status"], "completed", "{report}");
    host.assert_result("j-1", &report, "next");
}

#[test]
fn short_nats_outage_in_verify_is_waited_for() {
    let mut lab = Lab::deploying(&["--confirm-timeout 2"]);
    let host = lab.boot("web1");
    let hold = host.hold(Point::Units);
    lab.flake.commit(&Closure::new("next").fault(Fault::HoldsAt(Point::Units)));
    let _reports = lab.request("web1", "j-1", &json!({}));
    hold.reached();
    lab.stop_nats();
    hold.pass();
    // A refused connection shows that the network works, so the host waits far longer than without a network.
    host.wait_for_confirmation("j-1", "refused\":true");
    lab.start_nats();
    let report = lab.final_report("web1");
    assert_eq!(report["status"], "completed", "{report}");
    host.assert_result("j-1", &report, "next");
}

#[test]
fn long_nats_outage_in_verify_rolls_back() {
    let lab = Lab::deploying(&["--confirm-timeout 5"]);
    let host = lab.boot("web1");
    let hold = host.hold(Point::Units);
    lab.flake.commit(&Closure::new("next").fault(Fault::HoldsAt(Point::Units)));
    let _reports = lab.request("web1", "j-1", &json!({}));
    hold.reached();
    // No server refuses the connection either, so the host seems to have cut itself off.
    host.cut();
    hold.pass();
    host.wait_for_log("j-1", "rollback has not succeeded yet");
    // It runs its old system and waits until that is connected.
    assert_eq!(host.label(), "base");
    host.restore();
    let report = lab.final_report("web1");
    assert_eq!(
        (&report["error"], &report["rolled_back"]),
        (&json!("verification_failed"), &json!(true)),
        "{report}"
    );
    host.assert_result("j-1", &report, "base");
}

#[test]
fn listener_is_ready_without_nats_and_shows_its_status() {
    let mut lab = Lab::new();
    let host = lab.boot("web1");
    lab.stop_nats();
    host.sh("systemctl restart homelab-deploy-listener.service");
    assert_eq!(host.unit("homelab-deploy-listener.service").active, "active");
    let status = || host.sh("systemctl show --property StatusText --value homelab-deploy-listener.service");
    eventually("the status", || status().starts_with("not connected to nats://").then_some(()));
    lab.start_nats();
    lab.online("web1");
    eventually("the status", || status().starts_with("connected to nats://").then_some(()));
}
