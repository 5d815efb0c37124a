//! A listener that was removed from its host stops when no job runs and every final report is delivered, not sooner.

use crate::harness::{Closure, Fault, Host, LISTENER, Lab, Point};
use serde_json::{Value, json};

const STOPPING: &str = "this listener was removed from the host: stopping";

/// Arguments that make the listener check frequently whether it was removed.
const OFTEN: &str = "--presence-interval 1";

/// Returns a lab, a host, and a system for it without a listener.
fn removable(arguments: &[&str]) -> (Lab, Host, String) {
    let lab = Lab::deploying(&[&[OFTEN], arguments].concat());
    let host = lab.boot("web1");
    lab.flake.commit(&Closure::new("without").fault(Fault::ListenerGone));
    let without = host.build(&lab.flake).unwrap();
    (lab, host, without)
}

/// Switches on the host itself, as an administrator does.
fn switch_by_hand(host: &Host, system: &str) {
    host.sh(&format!("{system}/bin/switch-to-configuration test"));
}

/// Waits until the listener has stopped, and checks that it stopped cleanly and is not restarted.
fn stops(host: &Host) {
    let unit = host.unit_becomes(LISTENER, |unit| unit.pid == 0);
    assert_eq!((&*unit.active, &*unit.sub, &*unit.result), ("inactive", "dead", "success"), "{unit:?}");
    assert_eq!(unit.restarts, 0);
    assert_eq!(host.sh("systemctl list-jobs --no-legend"), "");
    assert!(host.failed_units().is_empty(), "{:?}", host.failed_units());
    let journal = host.journal(LISTENER);
    assert_eq!(journal.matches(STOPPING).count(), 1, "{journal}");
}

/// Waits until a listener has checked its unit several times, as its presence messages show.
fn wait_for_checks(lab: &Lab) {
    let presence = lab.wire.subscribe("deploy.responses.presence");
    for _ in 0..3 {
        let body = presence.until(|body| body["hostname"] == "web1");
        assert_ne!(body["online"], json!(false), "{body}");
    }
}

#[test]
fn listener_that_is_removed_by_hand_announces_its_end_and_stops_until_its_unit_is_back() {
    let (lab, host, without) = removable(&[]);
    let base = host.current_system();
    let presence = lab.wire.subscribe("deploy.responses.presence");
    switch_by_hand(&host, &without);
    presence.until(|body| body["hostname"] == "web1" && body["online"] == json!(false));
    stops(&host);
    switch_by_hand(&host, &base);
    lab.online("web1");
    // A masked unit counts as removed too.
    host.sh(&format!("ln -sfn /dev/null /etc/systemd/system/{LISTENER} && systemctl daemon-reload"));
    host.unit_becomes(LISTENER, |unit| unit.pid == 0 && unit.active == "inactive");
}

#[test]
fn listener_that_a_deployment_removes_reports_it_and_stops() {
    let (lab, host, without) = removable(&["--confirm-timeout 0"]);
    let reports = lab.request("web1", "j-1", &json!({}));
    let report = reports.final_report();
    assert_eq!(
        (&report["status"], &report["system"]),
        (&json!("completed"), &Value::from(without)),
        "{report}"
    );
    stops(&host);
    host.assert_result("j-1", &report, "without");
}

#[test]
fn removed_listener_finishes_its_job_and_delivers_the_final_report_before_it_stops() {
    let (mut lab, host, without) = removable(&[]);
    lab.flake.commit(&Closure::new("next").fault(Fault::HoldsAt(Point::Build)));
    let hold = host.hold(Point::Build);
    let _reports = lab.request("web1", "j-1", &json!({"action": "build"}));
    hold.reached();
    switch_by_hand(&host, &without);
    wait_for_checks(&lab);
    lab.stop_nats();
    hold.pass();
    host.wait_until_finished("j-1");
    assert_ne!(host.unit(LISTENER).pid, 0);
    lab.start_nats();
    stops(&host);
    assert_eq!(host.record("j-1")["report"]["status"], "completed");
    assert!(
        host.on_disk("state/jobs/j-1/delivered.json").exists(),
        "it stopped with a final report undelivered"
    );
}

#[test]
fn listener_whose_unit_was_moved_or_is_not_reloaded_yet_keeps_running() {
    let (lab, host, _) = removable(&[]);
    let pid = host.unit(LISTENER).pid;
    let unit = format!("/etc/systemd/system/{LISTENER}");
    host.sh(&format!("cp -L {unit} /run/moved && rm {unit}"));
    // systemd keeps the unit until a daemon-reload.
    wait_for_checks(&lab);
    host.sh(&format!("mv /run/moved /run/systemd/system/{LISTENER} && systemctl daemon-reload"));
    wait_for_checks(&lab);
    assert_eq!(host.unit(LISTENER).pid, pid);
    host.sh(&format!("rm /run/systemd/system/{LISTENER} && systemctl daemon-reload"));
    stops(&host);
}
