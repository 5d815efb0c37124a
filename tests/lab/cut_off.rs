//! A new system that cuts the host off from the NATS server, whose listener cannot start, or whose listener's key is
//! refused: it is rolled back automatically and reported after the host has reconnected.

use crate::harness::{Closure, Fault, Lab};
use serde_json::json;

#[test]
fn host_without_network_does_not_answer_until_the_network_is_back() {
    let lab = Lab::new();
    let [host, other] = lab.boot_all(["web1", "web2"]);
    host.cut();
    assert_ne!(host.run(&lab.connect_command()).code, 0);
    assert_eq!(lab.query("web1", &json!({})), None);
    other.sh(&lab.connect_command());
    host.restore();
    host.sh(&lab.connect_command());
    lab.online("web1");
}

/// Switches to a closure with this fault. The host must roll back and report it.
fn is_rolled_back(fault: Fault) {
    let lab = Lab::deploying(&["--confirm-timeout 8"]);
    let host = lab.boot("web1");
    let before = host.current_system();
    let reports = {
        lab.flake.commit(&Closure::new("bad").service("web", "sleep 1002").fault(fault));
        lab.request("web1", "j-1", &json!({}))
    };
    let report = reports.final_report();
    assert_eq!(
        (&report["status"], &report["error"]),
        (&json!("failed"), &json!("verification_failed")),
        "{report}"
    );
    assert_eq!(report["rolled_back"], true, "{report}");
    assert_eq!(
        (host.current_system(), host.system_profile(), host.boot_default()),
        (before.clone(), before.clone(), before)
    );
    assert_eq!(host.generations().len(), 1);
    host.assert_result("j-1", &report, "base");
    assert_eq!(host.failed_units(), [""; 0]);
    lab.flake.commit(&Closure::new("good"));
    let next = lab.request("web1", "j-2", &json!({})).final_report();
    assert_eq!(next["status"], "completed", "{next}");
    host.assert_result("j-2", &next, "good");
}

#[test]
fn new_system_that_cuts_the_host_off_is_rolled_back() {
    is_rolled_back(Fault::CutsNetwork);
}

#[test]
fn new_system_whose_listener_cannot_start_is_rolled_back() {
    is_rolled_back(Fault::ListenerBroken);
}

#[test]
fn new_system_whose_listener_has_a_refused_key_is_rolled_back() {
    is_rolled_back(Fault::KeyRefused);
}

#[test]
fn new_system_without_a_listener_is_refused() {
    let lab = Lab::deploying(&[]);
    let host = lab.boot("web1");
    let before = host.current_system();
    lab.flake.commit(&Closure::new("mute").fault(Fault::ListenerGone));
    let report = lab.request("web1", "j-1", &json!({})).final_report();
    assert_eq!(report["error"], "check_refused", "{report}");
    assert!(
        report["message"].as_str().unwrap().contains("has no homelab-deploy-listener.service"),
        "{report}"
    );
    assert_eq!(host.current_system(), before);
    host.assert_result("j-1", &report, "base");
}
