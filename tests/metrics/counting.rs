//! What the metrics count, and with which labels.

use crate::common::eventually;
use crate::page::{MetricsPage, address, get, measured, wait_counted, whole_count};
use crate::stage::{Stage, marker_commands, phase, text};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const TOTAL: &str = "homelab_deploy_deployments_total";

#[test]
fn every_series_exists_at_zero_from_the_start() {
    let mut stage = measured("");
    let page = MetricsPage::of(&mut stage.host);
    for (series, value) in &page.0 {
        let now = ["homelab_deploy_nats_connected", "homelab_deploy_info"];
        let expected = u64::from(now.iter().any(|name| series.starts_with(name)));
        assert_eq!(whole_count(*value), expected, "{series} {value}");
    }
    for action in ["switch", "boot", "test", "dry-activate", "build", "rollback", "reboot"] {
        page.deployments("completed", action, "");
        page.timed_deployments(action, true);
        page.timed_deployments(action, false);
    }
    for action in ["hold", "release"] {
        page.deployments("completed", action, "");
        page.deployments("rejected", action, "unhealthy");
    }
    page.deployments("rejected", "switch", "held");
    for action in ["switch", "rollback", "cancel", "hold", "unknown"] {
        page.deployments("rejected", action, "not_permitted");
    }
    let info = format!(
        "homelab_deploy_info{{hostname=\"web1\",role=\"web\",tier=\"test\",version={:?}}}",
        env!("CARGO_PKG_VERSION")
    );
    page.value(&info);
    // The number of series is small enough to scrape every host of a fleet.
    assert!(page.0.len() < 700, "{}", page.0.len());
}

/// Causes every result that an external command or a bad request can cause, and returns how often each occurred.
fn all_kinds(stage: &mut Stage) -> BTreeMap<(String, String, String), u64> {
    let mut results = BTreeMap::new();
    let mut count = |report: &Value, action: &str| {
        let of = |name: &str| text(&report[name]).to_owned();
        *results.entry((of("status"), action.to_owned(), of("error"))).or_insert(0) += 1;
    };
    let mut n = 0;
    let mut send = |fields: Value, action: &str| {
        n += 1;
        let report = stage.deploy(&format!("k-{n}"), fields).final_report();
        count(&report, action);
    };
    for action in ["switch", "boot", "test", "dry-activate", "build"] {
        for phase in ["", "prepare", "build", "check", "activate", "verify", "persist", "rollback"] {
            std::fs::write(stage.host.file("fails-in"), phase).unwrap();
            send(json!({"action": action}), action);
        }
        send(json!({"action": action, "revision": Value::Null}), action);
        send(json!({"action": action, "revision": "a..b"}), action);
        send(json!({"action": action, "timeout_s": 0}), action);
        send(json!({"action": action, "expires_at": "2020-01-01T00:00:00Z"}), action);
    }
    // A hold without a reason, a valid hold, the requests that it rejects, and the release.
    for action in ["rollback", "reboot", "hold"] {
        send(json!({"action": action, "revision": Value::Null}), action);
    }
    for action in ["hold", "switch", "boot", "test", "dry-activate", "build", "release"] {
        send(json!({"action": action, "reason": "kernel bisect"}), action);
    }
    send(json!({"action": "cancel", "job": "nowhere"}), "cancel");
    send(json!({"action": "cancel", "job": "k-1"}), "cancel");
    send(json!({"action": "cancel"}), "cancel");
    for action in [json!("leap"), json!(""), json!(7), json!({"a": "b"}), json!("x".repeat(500))] {
        send(json!({"action": action}), "unknown");
    }
    results
}

#[test]
fn each_request_is_counted_once_by_result_and_adds_no_series() {
    let script = "phase=$(cat $DIR/fails-in); [ -z \"$phase\" ] && exit 0\n\
                  echo '@homelab-deploy {\"phase\":\"'$phase'\"}'; exit 1";
    let mut stage = measured(script);
    let before = MetricsPage::of(&mut stage.host);
    let results = all_kinds(&mut stage);
    let all: u64 = results.values().sum();
    // A refusal appears on the page once it is persisted, shortly after its report.
    let page = eventually("every count", || {
        Some(MetricsPage::of(&mut stage.host)).filter(|page| page.sum(TOTAL) >= all)
    });
    for ((status, action, error), times) in &results {
        let counted = page.deployments(status, action, error);
        assert_eq!(counted, *times, "{status} {action} {error:?}");
    }
    assert_eq!(page.sum(TOTAL), all, "{page:#?}");
    let new: Vec<_> = page.0.keys().filter(|series| !before.0.contains_key(*series)).collect();
    assert!(new.is_empty(), "{new:#?}");
    assert_eq!(page.deployments("rejected", "switch", "held"), 1);
    // Refused requests, holds and releases have no duration; all others have one.
    let untimed = |(status, action, _): &(String, String, String)| {
        status == "rejected" || ["hold", "release"].contains(&&**action)
    };
    let untimed: u64 =
        results.iter().filter(|(deployments_series, _)| untimed(deployments_series)).map(|(_, n)| n).sum();
    let timed = page.sum("homelab_deploy_deployment_duration_seconds_count");
    assert_eq!(timed, all - untimed, "{timed} of {all}, {untimed} without a duration");
}

#[test]
fn a_request_without_a_reply_subject_is_counted_too() {
    let mut stage = measured("");
    for body in ["", "[]", "{}", "{\"action\":\"switch\"}"] {
        stage.wire.publish_bytes("deploy.test.web1", None, body.into());
    }
    wait_counted(&mut stage, ("rejected", "unknown", "invalid_request"), 3);
    wait_counted(&mut stage, ("rejected", "switch", "invalid_request"), 1);
}

#[test]
fn an_accepted_cancel_is_counted_as_the_result_of_its_job() {
    let script = format!("{}read _ < $DIR/go", phase("build"));
    let mut stage = Stage::with(&script, |host| crate::page::with_metrics(host.gate("go")));
    let reports = stage.deploy("k-1", json!({}));
    reports.until(|report| report["message"] == "build");
    assert_eq!(progress(&mut stage), 1);
    assert_eq!(stage.deploy("k-2", json!({})).final_report()["error"], "already_running");
    assert_eq!(stage.cancel("k-3", "k-1")["status"], "completed");
    assert_eq!(reports.final_report()["error"], "cancelled");
    wait_counted(&mut stage, ("rejected", "switch", "already_running"), 1);
    let page = MetricsPage::of(&mut stage.host);
    assert_eq!(page.deployments("failed", "switch", "cancelled"), 1);
    assert_eq!(page.sum(TOTAL), 2);
    assert_eq!(progress(&mut stage), 0);

    let activating = marker_commands(&[json!({"phase": "activate"})]);
    std::fs::write(
        stage.host.file("rebuild"),
        format!("#!/bin/sh\n{activating}read _ < {}\n", stage.host.file("go").display()),
    )
    .unwrap();
    let reports = stage.deploy("k-4", json!({}));
    reports.until(|report| report["message"] == "activate");
    assert_eq!(stage.cancel("k-5", "k-4")["error"], "too_late");
    stage.host.open("go");
    assert_eq!(reports.final_report()["status"], "completed");
    wait_counted(&mut stage, ("rejected", "cancel", "too_late"), 1);
}

fn progress(stage: &mut Stage) -> u64 {
    MetricsPage::of(&mut stage.host).count("homelab_deploy_deployment_in_progress")
}

#[test]
fn a_result_is_counted_and_timed_before_its_final_report() {
    let stage = format!("{}sleep 0.5; {}", phase("build"), phase("activate"));
    let mut stage = measured(&stage);
    for n in 1..=5 {
        stage.completes(&format!("k-{n}"));
        let page = MetricsPage::of(&mut stage.host);
        assert_eq!(page.deployments("completed", "switch", ""), n, "{n}: {page:#?}");
        assert_eq!(page.timed_deployments("switch", true), n, "{n}: {page:#?}");
    }
    let page = MetricsPage::of(&mut stage.host);
    // Each job took longer than the first bound and less than the last.
    let bucket = |metric: &str, labels: &str, bound: &str| {
        page.count(&format!("homelab_deploy_{metric}_duration_seconds_bucket{{{labels},le=\"{bound}\"}}"))
    };
    let switch = "action=\"switch\",success=\"true\"";
    assert_eq!(bucket("deployment", switch, "0.1"), 0);
    assert_eq!(bucket("deployment", switch, "600"), 5);
    assert_eq!(bucket("deployment", switch, "+Inf"), 5);
    assert_eq!(bucket("phase", "phase=\"build\"", "0.1"), 0);
    assert_eq!(bucket("phase", "phase=\"build\"", "+Inf"), 5);
    assert_eq!(bucket("phase", "phase=\"check\"", "+Inf"), 0, "the phase was skipped");
    let took = page.value(&format!("homelab_deploy_deployment_duration_seconds_sum{{{switch}}}"));
    assert!((2.0..60.0).contains(&took), "{took}");
    let last = page.count("homelab_deploy_last_success_timestamp_seconds");
    let now = u64::try_from(jiff::Timestamp::now().as_second()).unwrap();
    assert!((now - 60..=now).contains(&last), "{last} is not about {now}");
}

#[test]
fn an_action_that_changes_nothing_is_not_a_success() {
    let mut stage = measured("");
    stage.deploy("k-1", json!({"action": "build"})).final_report();
    assert_eq!(MetricsPage::of(&mut stage.host).count("homelab_deploy_last_success_timestamp_seconds"), 0);
}

#[test]
fn the_page_has_the_content_type_of_prometheus() {
    let mut stage = measured("");
    let reply = get(&address(&mut stage.host), "/metrics");
    assert_eq!(reply.status, 200);
    assert!(reply.head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{}", reply.head);
}
