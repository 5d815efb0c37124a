//! A repeated id never starts a second job.

use crate::stage::{Stage, phase};
use serde_json::json;

const COUNTED: &str = "echo >> $DIR/calls\n";

#[test]
fn a_repeated_request_gets_the_status_of_its_running_job() {
    let script = format!("{COUNTED}{}read _ < $DIR/go", phase("build"));
    let stage = Stage::with(&script, |host| host.gate("go"));
    let reports = stage.deploy("i-1", json!({}));
    reports.until(|report| report["message"] == "build");
    stage.send("i-1", json!({}));
    let repeated = reports.next().body;
    assert_eq!((&repeated["status"], &repeated["message"]), (&json!("running"), &json!("build")));
    // The id alone decides, even if other fields differ.
    let other = json!({"id": "i-1", "action": "test", "revision": "other"});
    let elsewhere = stage.deploy("i-2", other).next().body;
    assert_eq!((&elsewhere["id"], &elsewhere["action"]), (&json!("i-1"), &json!("switch")));
    stage.host.open("go");
    assert_eq!(reports.final_report()["status"], "completed");
    assert_eq!(stage.calls(), 1);
}

#[test]
fn a_repeated_request_gets_the_final_report_also_after_a_restart() {
    let mut stage = Stage::new(COUNTED);
    let reports = stage.deploy("i-3", json!({}));
    let result = reports.final_report();
    stage.send("i-3", json!({}));
    assert_eq!(reports.next().body, result);
    stage.restart();
    stage.send("i-3", json!({}));
    assert_eq!(reports.next().body, result);
    assert_eq!(stage.calls(), 1);
}

#[test]
fn a_failed_job_is_not_tried_again_under_its_id() {
    let stage = Stage::new(&format!("{COUNTED}exit 1"));
    let reports = stage.deploy("i-4", json!({}));
    let result = reports.final_report();
    assert_eq!(result["status"], "failed");
    // The same applies to a request that has expired since.
    stage.send("i-4", json!({"expires_at": "2020-01-01T00:00:00Z"}));
    assert_eq!(reports.next().body, result);
    assert_eq!(stage.calls(), 1);
}

#[test]
fn a_request_that_is_delivered_many_times_runs_once() {
    let stage = Stage::new(COUNTED);
    let reports = stage.wire.subscribe("deploy.responses.i-5");
    for _ in 0..50 {
        stage.send("i-5", json!({}));
    }
    let story = reports.all_reports();
    assert_eq!(story[0]["status"], "accepted");
    let started =
        story.iter().filter(|report| report["status"] == "started" && report["message"] == "started");
    assert!(started.count() >= 1);
    // The listener handles requests in order, so after this job it has replied to all fifty.
    stage.completes("i-6");
    assert_eq!(stage.calls(), 2);
}
