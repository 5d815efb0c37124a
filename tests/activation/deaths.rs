//! Deaths of the listener and of the activation program, in each phase.

use crate::stage::Stage;
use serde_json::json;

/// The phase that is held, as the version and action whose `switch-to-configuration` waits.
const HELD: [(&str, &str); 2] = [("test", "activate"), ("boot", "persist")];

const HOLD: &str = "read _ < $STAGE/gate";

#[test]
fn a_listener_that_dies_changes_nothing_about_the_verdict() {
    for (action, phase) in HELD {
        let mut stage = Stage::new();
        let gate = stage.gate("gate");
        stage.fault("v1", action, HOLD);
        let reports = stage.deploy("j-1", "switch", "v1");
        stage.called(&format!("v1 {action}"));
        stage.host.kill();
        stage.host.restart();
        gate.pass();
        let report = reports.verdict();
        assert_eq!(report["status"], "completed", "{phase}: {report}");
        assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v1", "v1 as 2"), "{phase}");
        assert_eq!(stage.calls(), "v1 check, v1 test, v1 boot", "{phase}");
    }
}

#[test]
fn a_job_is_followed_also_by_a_listener_that_was_given_a_rebuild_command() {
    let mut stage = Stage::new();
    let gate = stage.gate("gate");
    stage.fault("v1", "test", HOLD);
    let reports = stage.deploy("j-1", "switch", "v1");
    stage.called("v1 test");
    stage.host.kill();
    stage.host.add_args(&["--rebuild-command", "/bin/false"]);
    stage.host.restart();
    gate.pass();
    let report = reports.verdict();
    assert_eq!(report["status"], "completed", "{report}");
    assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v1", "v1 as 2"));
}

#[test]
fn a_verdict_that_came_while_no_listener_lived_is_told_by_the_next() {
    let mut stage = Stage::new();
    let gate = stage.gate("gate");
    stage.fault("v1", "boot", HOLD);
    let reports = stage.deploy("j-1", "switch", "v1");
    stage.called("v1 boot");
    stage.host.kill();
    gate.pass();
    crate::common::eventually("the verdict on disk", || {
        (stage.record("j-1")["report"]["status"] == "completed").then_some(())
    });
    stage.host.restart();
    assert_eq!(reports.verdict()["status"], "completed");
}

#[test]
fn an_activation_program_that_dies_in_activate_is_followed_by_one_that_goes_back() {
    let stage = Stage::new();
    let _gate = stage.gate("gate");
    stage.fault("v1", "test", &format!("activate; {HOLD}"));
    let reports = stage.deploy("j-1", "switch", "v1");
    stage.called("v1 test");
    stage.kill_program();
    let report = reports.verdict();
    assert_eq!(
        (&report["error"], &report["rolled_back"]),
        (&json!("activation_failed"), &json!(true)),
        "{report}"
    );
    assert_eq!(report["message"], "the activation died in activate; rolled back to the previous system");
    assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v0", "v0 as 1"));
}

#[test]
fn an_activation_program_that_dies_in_persist_is_followed_by_one_that_goes_on() {
    let stage = Stage::new();
    let gate = stage.gate("gate");
    stage.fault("v1", "boot", HOLD);
    let reports = stage.deploy("j-1", "switch", "v1");
    stage.called("v1 boot");
    stage.kill_program();
    // For the one that was left alone, and for the one that comes.
    gate.pass();
    gate.pass();
    let report = reports.verdict();
    assert_eq!(report["status"], "completed", "{report}");
    assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v1", "v1 as 2"));
}

#[test]
fn an_activation_program_that_dies_on_the_way_back_is_followed_by_one_that_goes_back_for_the_same_reason() {
    let stage = Stage::with(|host| host.args(&["--health-timeout", "1", "--health-check", "false"]));
    let gate = stage.gate("gate");
    stage.fault("v0", "test", HOLD);
    let reports = stage.deploy("j-1", "switch", "v1");
    stage.called("v0 test");
    stage.kill_program();
    // For the one that was left alone, and for the one that comes.
    gate.pass();
    gate.pass();
    let report = reports.verdict();
    let ended = (&report["error"], &report["rolled_back"]);
    assert_eq!(ended, (&json!("verification_failed"), &json!(true)), "{report}");
    assert!(report["message"].as_str().unwrap().contains("the health check `false`"), "{report}");
    assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v0", "v0 as 1"));
}

#[test]
fn both_die_and_the_next_listener_sees_to_it() {
    let mut stage = Stage::new();
    let _gate = stage.gate("gate");
    stage.fault("v1", "test", &format!("activate; {HOLD}"));
    let reports = stage.deploy("j-1", "switch", "v1");
    stage.called("v1 test");
    stage.host.kill();
    stage.kill_program();
    stage.host.restart();
    let report = reports.verdict();
    assert_eq!(report["rolled_back"], true, "{report}");
    assert_eq!(stage.runs(), "v0");
    assert_eq!(stage.deploy("j-2", "switch", "v2").verdict()["error"], json!(null));
}

#[test]
fn a_listener_that_dies_while_building_builds_again() {
    let mut stage = Stage::new();
    let gate = stage.gate("gate");
    stage.fault("v1", "check", HOLD);
    let reports = stage.deploy("j-1", "switch", "v1");
    stage.called("v1 check");
    stage.host.kill();
    std::fs::remove_file(stage.at("v1.check")).unwrap();
    drop(gate);
    stage.host.restart();
    let report = reports.verdict();
    assert_eq!(report["status"], "completed", "{report}");
    assert_eq!(report["id"], "j-1");
    assert_eq!(stage.runs(), "v1");
}

/// A job that was left in check while the clock jumped by so many hours, and its verdict.
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
    let report = reports.verdict();
    (stage, report)
}

#[test]
fn a_clock_that_jumped_back_costs_no_job() {
    let (stage, report) = after_a_jump(-48);
    assert_eq!(report["status"], "completed", "{report}");
    assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v1", "v1 as 2"));
    assert!(report["elapsed_ms"].as_u64().unwrap() < 600_000, "{report}");
    assert_eq!(stage.deploy("j-2", "switch", "v2").verdict()["status"], "completed");
}

#[test]
fn a_clock_that_jumped_ahead_ends_what_was_open_and_nothing_else() {
    let (stage, report) = after_a_jump(12);
    assert_eq!(report["error"], "interrupted", "{report}");
    assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v0", "v0 as 1"));
    assert_eq!(stage.deploy("j-2", "switch", "v2").verdict()["status"], "completed");
}
