//! Appropriate limits: crash loops, long activations, and memory that runs out.

use crate::harness::{Closure, Fault, LISTENER, Lab, Point, can_limit};
use serde_json::json;
use std::time::Duration;

#[test]
fn crash_loop_with_a_long_pause_is_rolled_back() {
    let lab = Lab::deploying(&[]);
    let host = lab.boot("web1");
    lab.flake.commit(&Closure::new("bad").fault(Fault::CrashLoop(10)));
    let report = lab.request("web1", "j-1", &json!({})).final_report_within(Duration::from_secs(90));
    assert_eq!(report["error"], "verification_failed", "{report}");
    assert_eq!(report["failed_units"], json!(["looping.service"]), "{report}");
    host.assert_result("j-1", &report, "base");
}

#[test]
fn service_that_crashed_repeatedly_before_causes_no_rollback() {
    for pause in [1, 10] {
        let base = Closure::new("base").fault(Fault::CrashLoop(pause));
        let lab = Lab::listening(&["--min-free 16MiB"], &base);
        let host = lab.boot("web1");
        host.unit_becomes("looping.service", |unit| unit.sub.starts_with("auto-restart"));
        lab.flake.commit(&Closure::new("next").fault(Fault::CrashLoop(pause)).service("web", "sleep 1002"));
        let report = lab.request("web1", "j-1", &json!({})).final_report_within(Duration::from_mins(2));
        assert_eq!(report["status"], "completed", "{pause}: {report}");
        host.assert_result("j-1", &report, "next");
    }
}

#[test]
fn unit_that_is_stopped_and_refused_or_not_reloaded_is_rolled_back() {
    let sound = Closure::new("base").service("refused", "sleep 1001").fault(Fault::ReloadRefused);
    let lab = Lab::listening(&["--min-free 16MiB"], &sound);
    let host = lab.boot("web1");
    let bad = |label| Closure::new(label).fault(Fault::BadUnitSetting);
    lab.flake.commit(&bad("refused").fault(Fault::ReloadRefused));
    let report = lab.request("web1", "j-1", &json!({})).final_report();
    assert_eq!(report["rolled_back"], true, "{report}");
    let units = report["failed_units"].as_array().unwrap();
    for unit in ["refused.service", "reloads.service"] {
        assert!(units.contains(&json!(unit)), "{unit}: {report}");
    }
    host.assert_result("j-1", &report, "base");
    host.unit_becomes("refused.service", |unit| unit.active == "active");
}

#[test]
fn unit_that_takes_six_minutes_to_start_is_waited_for_and_named() {
    let lab = Lab::deploying(&[]);
    let host = lab.boot("web1");
    lab.flake.commit(&Closure::new("next").fault(Fault::SlowUnit(360)));
    let reports = lab.request("web1", "j-1", &json!({}));
    let waits = |report: &serde_json::Value| {
        report["message"].as_str().unwrap_or_default().contains("systemd waits for")
    };
    let waiting = reports.until(waits);
    assert_eq!(waiting["message"], "activate: systemd waits for slow.service (start)", "{waiting}");
    let report = reports.final_report_within(Duration::from_mins(8));
    assert_eq!(report["status"], "completed", "{report}");
    assert!(report["phases"][3]["elapsed_ms"].as_u64().unwrap() >= 350_000, "{report}");
    host.assert_result("j-1", &report, "next");
}

#[test]
fn activation_over_its_limit_names_the_unit_it_waited_for() {
    let lab = Lab::deploying(&["--activate-timeout 15"]);
    let host = lab.boot("web1");
    lab.flake.commit(&Closure::new("bad").fault(Fault::SlowUnit(360)));
    let report = lab.request("web1", "j-1", &json!({})).final_report_within(Duration::from_mins(2));
    let message = report["message"].as_str().unwrap();
    assert!(
        message.contains("took longer than 15 s and was ended; systemd waited for slow.service (start)"),
        "{message}"
    );
    assert_eq!(report["rolled_back"], true, "{report}");
    host.assert_result("j-1", &report, "base");
}

#[test]
fn nix_that_runs_out_of_memory_ends_and_the_listener_keeps_running() {
    let lab = Lab::deploying(&[]);
    let host = lab.boot("web1");
    let listener = host.unit(LISTENER);
    assert_eq!(host.sh(&format!("systemctl show --property OOMPolicy --value {LISTENER}")), "continue");
    if !can_limit() {
        println!("NOT RUN: this test needs a memory controller of cgroup version 1");
        return;
    }
    host.limit_memory(listener.pid, 128);
    lab.flake
        .commit(&Closure::new("next").at(Point::Build, "head -c 1000M /dev/zero | tail -c 900M >/dev/null"));
    let report = lab.request("web1", "j-1", &json!({})).final_report();
    assert_eq!(report["error"], "build_failed", "{report}");
    let now = host.unit(LISTENER);
    assert_eq!((now.pid, now.restarts), (listener.pid, listener.restarts), "{report}");
}
