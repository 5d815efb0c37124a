//! The last job that changed the system, which dry runs, builds and cancelled jobs do not replace.

use crate::job_cache::backdate;
use crate::stage::{Stage, phase};
use serde_json::{Value, json};
use std::fs;

/// Fails a switch while `$DIR/bad` exists.
const SCRIPT: &str = "[ \"$1\" != switch ] || [ ! -e $DIR/bad ]";

/// The ids of `job` and `last_change` in the presence.
fn jobs(stage: &Stage) -> [Value; 2] {
    let presence = stage.query(json!({}));
    [presence["job"]["id"].clone(), presence["last_change"]["id"].clone()]
}

#[test]
fn a_dry_run_or_a_build_does_not_replace_a_failure_also_after_a_restart() {
    let mut stage = Stage::new(SCRIPT);
    stage.completes("l-0");
    assert_eq!(jobs(&stage), [json!("l-0"), Value::Null], "the job itself is the last change");
    fs::write(stage.host.file("bad"), "").unwrap();
    assert_eq!(stage.deploy("l-1", json!({})).final_report()["status"], "failed");
    assert_eq!(jobs(&stage), [json!("l-1"), Value::Null]);
    for (id, action) in [("l-2", "dry-activate"), ("l-3", "build")] {
        assert_eq!(stage.deploy(id, json!({"action": action})).final_report()["status"], "completed");
        assert_eq!(jobs(&stage), [json!(id), json!("l-1")]);
    }
    let presence = stage.query(json!({}));
    assert_eq!(
        [&presence["last_change"]["status"], &presence["last_change"]["error"]],
        ["failed", "activation_failed"]
    );
    assert_eq!(presence["last_change"]["diagnostics"], Value::Null);
    stage.restart();
    assert_eq!(jobs(&stage), [json!("l-3"), json!("l-1")]);
    fs::remove_file(stage.host.file("bad")).unwrap();
    stage.completes("l-4");
    assert_eq!(jobs(&stage), [json!("l-4"), Value::Null]);
}

#[test]
fn a_cancelled_job_replaces_neither_the_last_change_nor_the_time_of_deployment() {
    let script = format!("[ ! -e $DIR/slow ] || {{\n{}\nread _ < $DIR/never\n}}", phase("build"));
    let stage = Stage::with(&script, |host| host.gate("never"));
    let deployed = stage.completes("l-5");
    fs::write(stage.host.file("slow"), "").unwrap();
    let reports = stage.deploy("l-6", json!({}));
    reports.until(|report| report["message"] == "build");
    assert_eq!(jobs(&stage), [json!("l-6"), json!("l-5")], "also while a job runs");
    stage.cancel("l-7", "l-6");
    assert_eq!(reports.final_report()["error"], "cancelled");
    assert_eq!(jobs(&stage), [json!("l-6"), json!("l-5")]);
    assert_eq!(stage.query(json!({}))["deployed_at"], deployed["at"]);
}

#[test]
fn the_last_change_is_kept_however_old_it_is() {
    let mut stage = Stage::new(SCRIPT);
    fs::write(stage.host.file("bad"), "").unwrap();
    stage.deploy("l-8", json!({})).final_report();
    stage.wait_delivered("l-8");
    for n in 0..52 {
        stage.deploy(&format!("m-{n}"), json!({"action": "build"})).final_report();
    }
    backdate(&stage, "l-8");
    stage.restart();
    stage.deploy("m-last", json!({"action": "build"})).final_report();
    assert_eq!(jobs(&stage), [json!("m-last"), json!("l-8")]);
}
