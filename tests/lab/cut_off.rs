//! A new system that cuts the host off from the broker, whose listener cannot start, or whose listener's key is refused:
//! rolled back by itself, and reported once connected again.

use crate::harness::{Closure, Fault, Lab};
use serde_json::json;

#[test]
fn a_host_without_network_is_silent_until_it_has_it_again() {
    let lab = Lab::new();
    let [host, other] = lab.boot_all(["web1", "web2"]);
    host.cut();
    assert_ne!(host.run(&lab.knock()).code, 0);
    assert_eq!(lab.ask("web1", &json!({})), None);
    other.sh(&lab.knock());
    host.restore();
    host.sh(&lab.knock());
    lab.online("web1");
}

/// A closure with this fault is switched to: the host is back on what it ran before, and says so.
fn goes_back_by_itself(fault: Fault) {
    let lab = Lab::deploying(&["--confirm-timeout 8"]);
    let host = lab.boot("web1");
    let before = host.current_system();
    let reports = {
        lab.flake.commit(&Closure::new("bad").service("web", "sleep 1002").fault(fault));
        lab.request("web1", "j-1", &json!({}))
    };
    let report = reports.verdict();
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
    host.ended("j-1", &report, "base");
    assert_eq!(host.failed_units(), [""; 0]);
    lab.flake.commit(&Closure::new("good"));
    let next = lab.request("web1", "j-2", &json!({})).verdict();
    assert_eq!(next["status"], "completed", "{next}");
    host.ended("j-2", &next, "good");
}

#[test]
fn a_new_system_that_cuts_the_host_off_goes_back_by_itself() {
    goes_back_by_itself(Fault::CutsNetwork);
}

#[test]
fn a_new_system_whose_listener_cannot_start_goes_back_by_itself() {
    goes_back_by_itself(Fault::ListenerBroken);
}

#[test]
fn a_new_system_whose_listener_has_a_key_that_is_refused_goes_back_by_itself() {
    goes_back_by_itself(Fault::KeyRefused);
}

#[test]
fn a_new_system_without_a_listener_is_refused() {
    let lab = Lab::deploying(&[]);
    let host = lab.boot("web1");
    let before = host.current_system();
    lab.flake.commit(&Closure::new("mute").fault(Fault::ListenerGone));
    let report = lab.request("web1", "j-1", &json!({})).verdict();
    assert_eq!(report["error"], "check_refused", "{report}");
    assert!(
        report["message"].as_str().unwrap().contains("has no homelab-deploy-listener.service"),
        "{report}"
    );
    assert_eq!(host.current_system(), before);
    host.ended("j-1", &report, "base");
}
