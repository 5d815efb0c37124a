//! Counts survive restarts, and each job is counted once, even if the listener dies.

use crate::common::{Host, eventually};
use crate::host;
use crate::page::{MetricsPage, deployments_series, measured, wait_counted, with_metrics};
use crate::stage::{Stage, phase, text};
use serde_json::{Value, json};
use std::fs;

/// The series that a restart must not change: all except gauges of the current state.
fn counts(host: &mut Host) -> Vec<(String, f64)> {
    let gauge = |series: &str| {
        ["in_progress", "nats_connected", "reboot_needed", "info"].iter().any(|name| series.contains(name))
    };
    MetricsPage::of(host).0.into_iter().filter(|(series, _)| !gauge(series)).collect()
}

#[test]
fn counts_survive_a_stop_and_a_crash() {
    let mut stage = measured("[ -e $DIR/fail ] && exit 1; exit 0");
    stage.completes("m-1");
    fs::write(stage.host.file("fail"), "").unwrap();
    assert_eq!(stage.deploy("m-2", json!({"action": "boot"})).final_report()["status"], "failed");
    stage.deploy("m-3", json!({"action": "leap"})).final_report();
    wait_counted(&mut stage, ("rejected", "unknown", "invalid_action"), 1);
    let before = counts(&mut stage.host);
    stage.restart();
    assert_eq!(counts(&mut stage.host), before);
    stage.host.terminate();
    assert_eq!(stage.host.wait_for_exit().code(), Some(0));
    stage.host.restart();
    assert_eq!(counts(&mut stage.host), before);
}

#[test]
fn a_job_that_ends_after_its_listener_died_is_counted_once_by_the_next() {
    for (action, code) in [("test", "activate"), ("boot", "persist")] {
        let mut stage = host::Stage::with(with_metrics);
        let gate = stage.gate("gate");
        stage.fault("v1", action, "read _ < $STAGE/gate");
        let reports = stage.deploy("m-1", "switch", "v1");
        stage.called(&format!("v1 {action}"));
        stage.host.kill();
        stage.host.restart();
        let running = MetricsPage::of(&mut stage.host);
        assert_eq!(running.count("homelab_deploy_deployment_in_progress"), 1, "{code}");
        assert_eq!(running.sum("homelab_deploy_deployments_total"), 0, "{code}");
        gate.pass();
        assert_eq!(reports.final_report()["status"], "completed");
        for _ in 0..2 {
            let page = MetricsPage::of(&mut stage.host);
            assert_eq!(page.sum("homelab_deploy_deployments_total"), 1, "{code}");
            assert_eq!(page.deployments("completed", "switch", ""), 1, "{code}");
            assert_eq!(page.timed_deployments("switch", true), 1, "{code}");
            let phases = page.sum("homelab_deploy_phase_duration_seconds_count");
            assert_eq!(phases, 6, "{code}: {phases} phases");
            stage.host.restart();
        }
    }
}

#[test]
fn a_rollback_is_counted() {
    let mut stage = host::Stage::with(|host| {
        with_metrics(host.args(&["--health-timeout", "1", "--health-check", "false"]))
    });
    let report = stage.deploy("m-1", "switch", "v1").final_report();
    assert_eq!(report["rolled_back"], true, "{report}");
    let page = MetricsPage::of(&mut stage.host);
    assert_eq!(page.count("homelab_deploy_rollbacks_total"), 1);
    assert_eq!(page.deployments("failed", "switch", text(&report["error"])), 1);
    let rollback = "homelab_deploy_phase_duration_seconds_count{phase=\"rollback\"}";
    assert_eq!(page.count(rollback), 1);
}

#[test]
fn a_job_lost_in_a_reboot_is_counted_as_interrupted() {
    let script = format!("{}read _ < $DIR/go", phase("build"));
    let mut stage = Stage::with(&script, |host| with_metrics(host.gate("go")));
    let reports = stage.deploy("m-1", json!({}));
    reports.until(|report| report["message"] == "build");
    stage.pretend_reboot("m-1");
    stage.restart();
    assert_eq!(reports.final_report()["error"], "interrupted");
    let page = MetricsPage::of(&mut stage.host);
    assert_eq!(page.deployments("failed", "switch", "interrupted"), 1);
    assert_eq!(page.sum("homelab_deploy_deployments_total"), 1);
    stage.host.open("go");
}

/// Changes a JSON file of a stopped listener.
fn edit(file: &std::path::Path, change: impl FnOnce(&mut Value)) {
    let mut json: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    change(&mut json);
    fs::write(file, json.to_string()).unwrap();
}

#[test]
fn a_crash_before_or_after_a_job_was_counted_counts_it_once() {
    let mut stage = measured("");
    stage.completes("m-1");
    stage.wait_delivered("m-1");
    assert_eq!(stage.record("m-1")["counted"], true);
    let (record, metrics) = (stage.job_file("m-1", "state.json"), stage.host.file("state/metrics.json"));
    let after = counts(&mut stage.host);

    // The listener died after it had persisted the counts and before it marked the record.
    stage.host.kill();
    edit(&record, |record| record["counted"] = json!(false));
    edit(&metrics, |metrics| metrics["counted"] = json!(["m-1"]));
    stage.restart();
    assert_eq!(counts(&mut stage.host), after);
    assert_eq!(stage.record("m-1")["counted"], true);

    // The listener died before it persisted the counts.
    stage.host.kill();
    fs::remove_file(&metrics).unwrap();
    edit(&record, |record| record["counted"] = json!(false));
    stage.restart();
    assert_eq!(counts(&mut stage.host), after);
    assert_eq!(stage.record("m-1")["counted"], true);

    // The listener died before it forgot the id; the next change forgets it.
    stage.restart();
    stage.completes("m-2");
    let metrics: Value = serde_json::from_slice(&fs::read(&metrics).unwrap()).unwrap();
    assert_eq!(metrics["counted"], json!(["m-2"]));
}

#[test]
fn fields_of_a_newer_version_survive_an_older_one() {
    let mut stage = measured("");
    stage.completes("m-1");
    stage.host.kill();
    let file = stage.host.file("state/metrics.json");
    edit(&file, |metrics| {
        metrics["builds"] = json!([["x", 3]]);
        metrics["deployments"].as_array_mut().unwrap().push(json!([["failed", "teleport", "beam_lost"], 2]));
    });
    stage.restart();
    stage.completes("m-2");
    assert_eq!(MetricsPage::of(&mut stage.host).deployments("failed", "teleport", "beam_lost"), 2);
    let metrics: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(metrics["builds"], json!([["x", 3]]));
}

#[test]
fn counts_of_any_size_do_not_overflow() {
    let mut stage = measured("");
    stage.completes("m-1");
    stage.host.kill();
    edit(&stage.host.file("state/metrics.json"), |metrics| {
        for series in metrics["deployments"].as_array_mut().unwrap() {
            series[1] = json!(u64::MAX);
        }
        for series in metrics["durations"].as_array_mut().unwrap() {
            series[1]["counts"].as_array_mut().unwrap().fill(json!(u64::MAX));
        }
        metrics["rollbacks"] = json!(u64::MAX);
    });
    stage.restart();
    stage.completes("m-2");
    let page = MetricsPage::of(&mut stage.host);
    assert!(page.value(&deployments_series("completed", "switch", "")) > 1e19);
    assert_eq!(stage.record("m-2")["counted"], true);
}

#[test]
fn a_damaged_file_is_quarantined_with_a_warning_and_counting_restarts() {
    let mut stage = measured("");
    stage.completes("m-1");
    let file = stage.host.file("state/metrics.json");
    for damaged in [&b""[..], b"{\"deployments\":", b"\xff\x00", b"{}"] {
        stage.host.kill();
        fs::write(&file, damaged).unwrap();
        stage.restart();
        let warnings = stage.query(json!({}))["warnings"].to_string();
        let expected = format!("the metrics in {} are damaged", file.display());
        assert!(warnings.contains(&expected), "{warnings}");
        assert_eq!(fs::read(file.with_extension("quarantined")).unwrap(), damaged);
        assert_eq!(MetricsPage::of(&mut stage.host).sum("homelab_deploy_deployments_total"), 0);
    }
    stage.completes("m-2");
    stage.restart();
    assert_eq!(MetricsPage::of(&mut stage.host).deployments("completed", "switch", ""), 1);
    assert!(stage.query(json!({}))["warnings"].is_null());
}

#[test]
fn jobs_from_before_metrics_were_enabled_are_counted() {
    let mut stage = Stage::new("");
    stage.completes("m-1");
    assert!(!stage.host.file("state/metrics.json").exists());
    stage.host.kill();
    stage.host.add_args(&["--metrics-enabled", "--metrics-addr", "127.0.0.1:0"]);
    stage.host.restart();
    assert_eq!(MetricsPage::of(&mut stage.host).deployments("completed", "switch", ""), 1);
}

#[test]
fn counts_that_cannot_be_saved_are_shown_and_saved_later() {
    let mut stage = measured("");
    let file = stage.host.file("state/metrics.json");
    stage.completes("m-1");
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    stage.completes("m-2");
    assert_eq!(MetricsPage::of(&mut stage.host).deployments("completed", "switch", ""), 2);
    assert_eq!(stage.record("m-2")["counted"], false);
    fs::remove_dir(&file).unwrap();
    stage.completes("m-3");
    stage.restart();
    assert_eq!(MetricsPage::of(&mut stage.host).deployments("completed", "switch", ""), 3);
    eventually("a record marked as counted", || (stage.record("m-2")["counted"] == true).then_some(()));
}
