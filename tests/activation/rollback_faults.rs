//! A rollback succeeds even if something else fails with it.

use crate::stage::Stage;
use serde_json::{Value, json};

fn ended(report: &Value) -> (&Value, &Value) {
    (&report["error"], &report["rolled_back"])
}

#[test]
fn unwritable_log_does_not_prevent_a_rollback() {
    let stage = Stage::new();
    let log = stage.job_file("j-1", "log");
    let log = log.display();
    stage.fault("v1", "test", &format!("activate; rm {log}; mkdir {log}; exit 2"));
    let report = stage.deploy("j-1", "switch", "v1").final_report();
    assert_eq!(ended(&report), (&json!("activation_failed"), &json!(true)), "{report}");
    assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v0", "v0 as 1"));
}

#[test]
fn unwritable_record_after_the_activation_rolls_back() {
    let stage = Stage::new();
    // The worker writes to this path before it renames the file.
    let beside = format!("{}/state.$PPID.new", stage.job_file("j-1", "").display());
    stage.fault("v1", "test", &format!("activate; mkdir {beside}"));
    stage.fault("v0", "test", &format!("rmdir {beside}"));
    let report = stage.deploy("j-1", "switch", "v1").final_report();
    assert_eq!(ended(&report), (&json!("unhealthy"), &json!(true)), "{report}");
    let message = report["message"].as_str().unwrap();
    assert!(message.starts_with("could not save the next step: could not write"), "{message}");
    assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v0", "v0 as 1"));
    assert_eq!(stage.calls(), "v1 check, v1 test, v0 test");
}

#[test]
fn unrestorable_profile_does_not_prevent_the_rollback_of_the_running_system() {
    let stage = Stage::new();
    stage.fault("v1", "boot", "rm $STAGE/profiles/system-1-link; exit 1");
    let report = stage.deploy("j-1", "switch", "v1").final_report();
    assert_eq!(ended(&report), (&json!("rollback_failed"), &json!(false)), "{report}");
    let message = report["message"].as_str().unwrap();
    assert!(message.contains("rollback failed: could not switch"), "{message}");
    assert_eq!(stage.runs(), "v0");
}

/// Returns a host that ran `v1` once, and the store path of `v1`.
fn with_another_system() -> (Stage, String) {
    let stage = Stage::new();
    assert_eq!(stage.deploy("a-1", "switch", "v1").final_report()["status"], "completed");
    let other = stage.system();
    assert_eq!(stage.deploy("a-2", "switch", "v0").final_report()["status"], "completed");
    std::fs::remove_file(stage.at("calls")).unwrap();
    (stage, other)
}

#[test]
fn rollback_restores_a_system_that_was_switched_to_during_the_build() {
    let (stage, other) = with_another_system();
    stage.fault("v2", "check", &format!("ln -sfn {other} $STAGE/root/run/current-system"));
    stage.fault("v2", "test", "activate; exit 2");
    let report = stage.deploy("j-1", "switch", "v2").final_report();
    assert_eq!(ended(&report), (&json!("activation_failed"), &json!(true)), "{report}");
    assert_eq!(stage.calls(), "v2 check, v2 test, v1 test");
    assert_eq!(stage.runs(), "v1");
    assert_eq!(stage.record("j-1")["old"]["system"], other);
    assert_eq!(std::fs::read_link(stage.job_file("j-1", "old")).unwrap().to_str(), Some(other.as_str()));
}

#[test]
fn another_activation_of_the_host_is_not_disturbed() {
    let (stage, other) = with_another_system();
    let script =
        format!("echo 'Could not acquire lock' >&2; ln -sfn {other} $STAGE/root/run/current-system; exit 11");
    stage.fault("v2", "program", &format!("[ $action != test ] || {{ {script}; }}"));
    let report = stage.deploy("j-1", "switch", "v2").final_report();
    assert_eq!(ended(&report), (&json!("activation_failed"), &Value::Null), "{report}");
    assert_eq!(report["message"], "another activation is running on this host; try again when it has ended");
    assert_eq!((stage.calls().as_str(), stage.runs().as_str()), ("v2 check, v2 test", "v1"));
}
