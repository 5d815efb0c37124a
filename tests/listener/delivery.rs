//! A verdict reaches the server, whatever the link does meanwhile.

use crate::common::Wire;
use crate::stage::{Stage, phase};
use rustix::process::Signal;
use serde_json::json;
use std::fs;
use std::time::Duration;

#[test]
fn a_verdict_from_while_the_server_was_away_comes_after_the_reconnect_as_recorded() {
    let script = format!("{}echo why; read _ < $DIR/go; exit 1", phase("build"));
    let mut stage = Stage::with(&script, |host| host.gate("go"));
    let reports = stage.deploy("v-1", json!({}));
    reports.until(|report| report["message"] == "build");
    stage.broker.stop();
    stage.host.logged("not connected");
    stage.host.open("go");
    stage.host.logged("job failed");
    assert!(!stage.job_file("v-1", "sent.json").exists());

    // It must not be back before somebody listens.
    stage.host.signal(Signal::STOP);
    stage.broker.restart();
    let operator = Wire::connect(&stage.broker, "tester");
    let heard = operator.listen("deploy.responses.v-1");
    stage.host.signal(Signal::CONT);
    let first = heard.next().body;
    assert_eq!(first["error"], "build_failed");
    assert_eq!(first, stage.record("v-1")["report"]);
    stage.told("v-1");
}

#[test]
fn a_job_goes_on_and_is_told_of_again_after_the_server_was_away() {
    let script = format!("{}read _ < $DIR/go", phase("build"));
    let mut stage = Stage::with(&script, |host| host.gate("go").args(&["--heartbeat-interval", "1"]));
    let reports = stage.deploy("v-2", json!({}));
    reports.until(|report| report["message"] == "build");
    stage.broker.stop();
    stage.host.logged("not connected");
    stage.broker.restart();
    stage.host.logged("connected");
    let operator = Wire::connect(&stage.broker, "tester");
    let heard = operator.listen("deploy.responses.v-2");
    assert_eq!(heard.next().body["status"], "running");
    stage.host.open("go");
    assert_eq!(heard.verdict()["status"], "completed");
}

#[test]
fn a_verdict_is_told_again_after_a_restart_only_until_it_has_arrived() {
    let mut stage = Stage::new("");
    let reports = stage.deploy("v-3", json!({}));
    let verdict = reports.verdict();
    stage.told("v-3");
    stage.restart();
    stage.completes("v-4");
    assert!(reports.quiet(Duration::from_millis(20)).is_empty());

    stage.told("v-4");
    stage.host.kill();
    fs::remove_file(stage.job_file("v-3", "sent.json")).unwrap();
    stage.restart();
    assert_eq!(reports.next().body, verdict);
}

#[test]
fn a_verdict_of_the_day_before_is_not_told_any_more() {
    let mut stage = Stage::new("");
    let reports = stage.deploy("v-5", json!({}));
    reports.verdict();
    stage.told("v-5");
    stage.host.kill();
    let mut record = stage.record("v-5");
    record["accepted_at"] = json!("2020-01-01T00:00:00Z");
    fs::write(stage.job_file("v-5", "state.json"), record.to_string()).unwrap();
    fs::remove_file(stage.job_file("v-5", "sent.json")).unwrap();
    stage.restart();
    stage.completes("v-6");
    assert!(reports.quiet(Duration::from_millis(20)).is_empty());
    // It still stands for whoever asks.
    assert_eq!(stage.ask(json!({"want": "job", "id": "v-5"}))["report"]["status"], "completed");
}
