//! The way back is found also where something else goes wrong with it.

use crate::stage::Stage;
use serde_json::{Value, json};

fn ended(report: &Value) -> (&Value, &Value) {
    (&report["error"], &report["rolled_back"])
}

#[test]
fn a_log_that_cannot_be_written_keeps_nobody_from_going_back() {
    let stage = Stage::new();
    let log = stage.job_file("j-1", "log");
    let log = log.display();
    stage.fault("v1", "test", &format!("activate; rm {log}; mkdir {log}; exit 2"));
    let report = stage.deploy("j-1", "switch", "v1").verdict();
    assert_eq!(ended(&report), (&json!("activation_failed"), &json!(true)), "{report}");
    assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v0", "v0 as 1"));
}

#[test]
fn a_step_that_cannot_be_written_down_after_the_activation_goes_back() {
    let stage = Stage::new();
    // Where the program writes before it moves the file into place.
    let beside = format!("{}/state.$PPID.new", stage.job_file("j-1", "").display());
    stage.fault("v1", "test", &format!("activate; mkdir {beside}"));
    stage.fault("v0", "test", &format!("rmdir {beside}"));
    let report = stage.deploy("j-1", "switch", "v1").verdict();
    assert_eq!(ended(&report), (&json!("unhealthy"), &json!(true)), "{report}");
    let message = report["message"].as_str().unwrap();
    assert!(message.starts_with("could not write down what is done next: could not write"), "{message}");
    assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v0", "v0 as 1"));
    assert_eq!(stage.calls(), "v1 check, v1 test, v0 test");
}

#[test]
fn a_profile_that_cannot_be_restored_keeps_nobody_from_what_ran_before() {
    let stage = Stage::new();
    stage.fault("v1", "boot", "rm $STAGE/profiles/system-1-link; exit 1");
    let report = stage.deploy("j-1", "switch", "v1").verdict();
    assert_eq!(ended(&report), (&json!("rollback_failed"), &json!(false)), "{report}");
    let message = report["message"].as_str().unwrap();
    assert!(message.contains("going back failed: could not switch"), "{message}");
    assert_eq!(stage.runs(), "v0");
}

/// A host that ran `v1` once, and its store path.
fn with_another_system() -> (Stage, String) {
    let stage = Stage::new();
    assert_eq!(stage.deploy("a-1", "switch", "v1").verdict()["status"], "completed");
    let other = stage.system();
    assert_eq!(stage.deploy("a-2", "switch", "v0").verdict()["status"], "completed");
    std::fs::remove_file(stage.at("calls")).unwrap();
    (stage, other)
}

#[test]
fn who_switched_the_host_while_it_was_built_finds_it_as_they_left_it() {
    let (stage, other) = with_another_system();
    stage.fault("v2", "check", &format!("ln -sfn {other} $STAGE/root/run/current-system"));
    stage.fault("v2", "test", "activate; exit 2");
    let report = stage.deploy("j-1", "switch", "v2").verdict();
    assert_eq!(ended(&report), (&json!("activation_failed"), &json!(true)), "{report}");
    assert_eq!(stage.calls(), "v2 check, v2 test, v1 test");
    assert_eq!(stage.runs(), "v1");
    assert_eq!(stage.record("j-1")["old"]["system"], other);
    assert_eq!(std::fs::read_link(stage.job_file("j-1", "old")).unwrap().to_str(), Some(other.as_str()));
}

#[test]
fn another_activation_of_the_host_is_left_alone() {
    let (stage, other) = with_another_system();
    let script =
        format!("echo 'Could not acquire lock' >&2; ln -sfn {other} $STAGE/root/run/current-system; exit 11");
    stage.fault("v2", "program", &format!("[ $action != test ] || {{ {script}; }}"));
    let report = stage.deploy("j-1", "switch", "v2").verdict();
    assert_eq!(ended(&report), (&json!("activation_failed"), &Value::Null), "{report}");
    assert_eq!(report["message"], "another activation runs on this host; try again once it has ended");
    assert_eq!((stage.calls().as_str(), stage.runs().as_str()), ("v2 check, v2 test", "v1"));
}
