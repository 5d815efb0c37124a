//! Crashes of the listener and of the worker in each phase.

use crate::stage::Stage;
use serde_json::json;

/// The actions of `switch-to-configuration` that block, and the phase of each.
const HELD: [(&str, &str); 2] = [("test", "activate"), ("boot", "persist")];

const HOLD: &str = "read _ < $STAGE/gate";

#[test]
fn listener_crash_does_not_change_the_result() {
    for (action, phase) in HELD {
        let mut stage = Stage::new();
        let gate = stage.gate("gate");
        stage.fault("v1", action, HOLD);
        let reports = stage.deploy("j-1", "switch", "v1");
        stage.called(&format!("v1 {action}"));
        stage.host.kill();
        stage.host.restart();
        gate.pass();
        let report = reports.final_report();
        assert_eq!(report["status"], "completed", "{phase}: {report}");
        assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v1", "v1 as 2"), "{phase}");
        assert_eq!(stage.calls(), "v1 check, v1 test, v1 boot", "{phase}");
    }
}

#[test]
fn listener_with_a_new_rebuild_command_still_follows_the_job() {
    let mut stage = Stage::new();
    let gate = stage.gate("gate");
    stage.fault("v1", "test", HOLD);
    let reports = stage.deploy("j-1", "switch", "v1");
    stage.called("v1 test");
    stage.host.kill();
    stage.host.add_args(&["--rebuild-command", "/bin/false"]);
    stage.host.restart();
    gate.pass();
    let report = reports.final_report();
    assert_eq!(report["status"], "completed", "{report}");
    assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v1", "v1 as 2"));
}

#[test]
fn result_reached_without_a_listener_is_reported_by_the_next_one() {
    let mut stage = Stage::new();
    let gate = stage.gate("gate");
    stage.fault("v1", "boot", HOLD);
    let reports = stage.deploy("j-1", "switch", "v1");
    stage.called("v1 boot");
    stage.host.kill();
    gate.pass();
    crate::common::eventually("a result on disk", || {
        (stage.record("j-1")["report"]["status"] == "completed").then_some(())
    });
    stage.host.restart();
    assert_eq!(reports.final_report()["status"], "completed");
}

#[test]
fn worker_crash_in_activate_is_rolled_back() {
    let stage = Stage::new();
    let _gate = stage.gate("gate");
    stage.fault("v1", "test", &format!("activate; {HOLD}"));
    let reports = stage.deploy("j-1", "switch", "v1");
    stage.called("v1 test");
    stage.kill_worker();
    let report = reports.final_report();
    assert_eq!(
        (&report["error"], &report["rolled_back"]),
        (&json!("activation_failed"), &json!(true)),
        "{report}"
    );
    assert_eq!(
        report["message"],
        "the activation was interrupted in activate; rolled back to the previous system"
    );
    assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v0", "v0 as 1"));
}

#[test]
fn worker_crash_in_persist_is_resumed() {
    let stage = Stage::new();
    let gate = stage.gate("gate");
    stage.fault("v1", "boot", HOLD);
    let reports = stage.deploy("j-1", "switch", "v1");
    stage.called("v1 boot");
    stage.kill_worker();
    // Releases the orphaned program and the one of the recovery.
    gate.pass();
    gate.pass();
    let report = reports.final_report();
    assert_eq!(report["status"], "completed", "{report}");
    assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v1", "v1 as 2"));
}

#[test]
fn worker_crash_in_rollback_is_resumed_with_the_same_error() {
    let stage = Stage::with(|host| host.args(&["--health-timeout", "1", "--health-check", "false"]));
    let gate = stage.gate("gate");
    stage.fault("v0", "test", HOLD);
    let reports = stage.deploy("j-1", "switch", "v1");
    stage.called("v0 test");
    stage.kill_worker();
    // Releases the orphaned program and the one of the recovery.
    gate.pass();
    gate.pass();
    let report = reports.final_report();
    let ended = (&report["error"], &report["rolled_back"]);
    assert_eq!(ended, (&json!("verification_failed"), &json!(true)), "{report}");
    assert!(report["message"].as_str().unwrap().contains("the health check `false`"), "{report}");
    assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v0", "v0 as 1"));
}

#[test]
fn crash_of_listener_and_worker_is_recovered_by_the_next_listener() {
    let mut stage = Stage::new();
    let _gate = stage.gate("gate");
    stage.fault("v1", "test", &format!("activate; {HOLD}"));
    let reports = stage.deploy("j-1", "switch", "v1");
    stage.called("v1 test");
    stage.host.kill();
    stage.kill_worker();
    stage.host.restart();
    let report = reports.final_report();
    assert_eq!(report["rolled_back"], true, "{report}");
    assert_eq!(stage.runs(), "v0");
    assert_eq!(stage.deploy("j-2", "switch", "v2").final_report()["error"], json!(null));
}

#[test]
fn listener_that_died_while_building_builds_again() {
    let mut stage = Stage::new();
    let gate = stage.gate("gate");
    stage.fault("v1", "check", HOLD);
    let reports = stage.deploy("j-1", "switch", "v1");
    stage.called("v1 check");
    stage.host.kill();
    std::fs::remove_file(stage.at("v1.check")).unwrap();
    drop(gate);
    stage.host.restart();
    let report = reports.final_report();
    assert_eq!(report["status"], "completed", "{report}");
    assert_eq!(report["id"], "j-1");
    assert_eq!(stage.runs(), "v1");
}

/// Returns the result of a job during whose check the listener died and the clock jumped by `hours`.
fn after_a_jump(hours: i64) -> (Stage, serde_json::Value) {
    let mut stage = Stage::new();
    let _gate = stage.gate("gate");
    stage.fault("v1", "check", HOLD);
    let reports = stage.deploy("j-1", "switch", "v1");
    stage.called("v1 check");
    stage.host.kill();
    std::fs::remove_file(stage.at("v1.check")).unwrap();
    let mut record = stage.record("j-1");
    for field in ["accepted_at", "deadline"] {
        let time: jiff::Timestamp = record[field].as_str().unwrap().parse().unwrap();
        record[field] = json!(time - jiff::SignedDuration::from_hours(hours));
    }
    std::fs::write(stage.job_file("j-1", "state.json"), record.to_string()).unwrap();
    stage.host.restart();
    let report = reports.final_report();
    (stage, report)
}

#[test]
fn clock_that_jumped_back_does_not_end_a_job() {
    let (stage, report) = after_a_jump(-48);
    assert_eq!(report["status"], "completed", "{report}");
    assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v1", "v1 as 2"));
    assert!(report["elapsed_ms"].as_u64().unwrap() < 600_000, "{report}");
    assert_eq!(stage.deploy("j-2", "switch", "v2").final_report()["status"], "completed");
}

#[test]
fn clock_that_jumped_ahead_ends_only_the_open_job() {
    let (stage, report) = after_a_jump(12);
    assert_eq!(report["error"], "interrupted", "{report}");
    assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v0", "v0 as 1"));
    assert_eq!(stage.deploy("j-2", "switch", "v2").final_report()["status"], "completed");
}
