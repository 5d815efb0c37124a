//! A result reaches the server, even if the connection is lost while the job runs.

use crate::common::RawClient;
use crate::stage::{Stage, phase};
use rustix::process::Signal;
use serde_json::json;
use std::fs;
use std::time::Duration;

#[test]
fn a_result_from_an_outage_is_delivered_after_the_reconnect_as_recorded() {
    let script = format!("{}echo why; read _ < $DIR/go; exit 1", phase("build"));
    let mut stage = Stage::with(&script, |host| host.gate("go"));
    let reports = stage.deploy("v-1", json!({}));
    reports.until(|report| report["message"] == "build");
    stage.nats.stop();
    stage.host.wait_for_log("not connected");
    stage.host.open("go");
    stage.host.wait_for_log("job failed");
    assert!(!stage.job_file("v-1", "delivered.json").exists());

    // The host is stopped so that it reconnects only after the operator has subscribed.
    stage.host.signal(Signal::STOP);
    stage.nats.restart();
    let operator = RawClient::connect(&stage.nats, "tester");
    let reports_after = operator.subscribe("deploy.responses.v-1");
    stage.host.signal(Signal::CONT);
    let first = reports_after.next().body;
    assert_eq!(first["error"], "build_failed");
    assert_eq!(first, stage.record("v-1")["report"]);
    stage.wait_delivered("v-1");
}

#[test]
fn a_job_continues_during_an_outage_and_reports_afterwards() {
    let script = format!("{}read _ < $DIR/go", phase("build"));
    let mut stage = Stage::with(&script, |host| host.gate("go").args(&["--heartbeat-interval", "1"]));
    let reports = stage.deploy("v-2", json!({}));
    reports.until(|report| report["message"] == "build");
    stage.nats.stop();
    stage.host.wait_for_log("not connected");
    stage.nats.restart();
    stage.host.wait_for_log("connected");
    let operator = RawClient::connect(&stage.nats, "tester");
    let reports_after = operator.subscribe("deploy.responses.v-2");
    assert_eq!(reports_after.next().body["status"], "running");
    stage.host.open("go");
    assert_eq!(reports_after.final_report()["status"], "completed");
}

#[test]
fn a_final_report_is_repeated_after_a_restart_until_it_is_delivered() {
    let mut stage = Stage::new("");
    let reports = stage.deploy("v-3", json!({}));
    let result = reports.final_report();
    stage.wait_delivered("v-3");
    stage.restart();
    stage.completes("v-4");
    assert!(reports.quiet(Duration::from_millis(20)).is_empty());

    stage.wait_delivered("v-4");
    stage.host.kill();
    fs::remove_file(stage.job_file("v-3", "delivered.json")).unwrap();
    stage.restart();
    assert_eq!(reports.next().body, result);
}

#[test]
fn a_final_report_older_than_a_day_is_not_repeated() {
    let mut stage = Stage::new("");
    let reports = stage.deploy("v-5", json!({}));
    reports.final_report();
    stage.wait_delivered("v-5");
    stage.host.kill();
    let mut record = stage.record("v-5");
    record["accepted_at"] = json!("2020-01-01T00:00:00Z");
    fs::write(stage.job_file("v-5", "state.json"), record.to_string()).unwrap();
    fs::remove_file(stage.job_file("v-5", "delivered.json")).unwrap();
    stage.restart();
    stage.completes("v-6");
    assert!(reports.quiet(Duration::from_millis(20)).is_empty());
    // The result can still be queried.
    assert_eq!(stage.query(json!({"query": "job", "id": "v-5"}))["report"]["status"], "completed");
}

#[test]
fn a_result_that_the_server_does_not_accept_does_not_hold_up_the_others() {
    let mut stage = Stage::new("");
    let ids = ["v-7", "v-8", "v-9"];
    for id in ids {
        stage.completes(id);
        stage.wait_delivered(id);
    }
    stage.host.kill();
    for id in ids {
        fs::remove_file(stage.job_file(id, "delivered.json")).unwrap();
    }
    let mut record = stage.record("v-7");
    record["report"]["message"] = json!("m".repeat(2000));
    record["report"]["issuer"] = json!("i".repeat(1000));
    fs::write(stage.job_file("v-7", "state.json"), record.to_string()).unwrap();
    stage.nats.stop();
    stage.nats.restart_with("max_payload: 1800\n");
    stage.host.restart();
    stage.wait_delivered("v-8");
    stage.wait_delivered("v-9");
    assert!(!stage.job_file("v-7", "delivered.json").exists());
}

#[test]
fn a_result_is_delivered_on_the_same_connection_after_the_server_has_stalled() {
    let script = format!("{}read _ < $DIR/go", phase("build"));
    let mut stage = Stage::with(&script, |host| host.gate("go"));
    let reports = stage.deploy("v-10", json!({}));
    reports.until(|report| report["message"] == "build");
    stage.nats.suspend();
    stage.host.open("go");
    stage.host.wait_for_log("the server has not acknowledged the final reports yet");
    stage.nats.signal(Signal::CONT);
    stage.wait_delivered("v-10");
    assert_eq!(reports.final_report()["status"], "completed");
    assert!(reports.quiet(Duration::from_millis(20)).is_empty());
    stage.host.terminate();
    let log = format!("{:?}", stage.host.rest_of_log());
    assert!(!log.contains("not connected"), "{log}");
}
