//! What is counted, and under which labels.

use crate::common::eventually;
use crate::page::{Page, address, get, measured, until_ended, whole};
use crate::stage::{Stage, phase, saying, text};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const TOTAL: &str = "homelab_deploy_deployments_total";

#[test]
fn every_series_is_there_at_zero_before_anything_happened() {
    let mut stage = measured("");
    let page = Page::of(&mut stage.host);
    for (series, value) in &page.0 {
        let now = ["homelab_deploy_nats_connected", "homelab_deploy_info"];
        let expected = u64::from(now.iter().any(|name| series.starts_with(name)));
        assert_eq!(whole(*value), expected, "{series} {value}");
    }
    for action in ["switch", "boot", "test", "dry-activate", "build", "rollback", "reboot"] {
        page.ended("completed", action, "");
        page.timed(action, true);
        page.timed(action, false);
    }
    for action in ["hold", "release"] {
        page.ended("completed", action, "");
        page.ended("rejected", action, "unhealthy");
    }
    page.ended("rejected", "switch", "held");
    for action in ["switch", "rollback", "cancel", "hold", "unknown"] {
        page.ended("rejected", action, "not_permitted");
    }
    let info = format!(
        "homelab_deploy_info{{hostname=\"web1\",tier=\"test\",role=\"web\",version={:?}}}",
        env!("CARGO_PKG_VERSION")
    );
    page.value(&info);
    // Few enough to be scraped from every host of a fleet.
    assert!(page.0.len() < 700, "{}", page.0.len());
}

/// Makes requests end in every way that a rebuild program and a bad request can bring about, and gives how often which.
fn all_kinds(stage: &mut Stage) -> BTreeMap<(String, String, String), u64> {
    let mut ended = BTreeMap::new();
    let mut note = |report: &Value, action: &str| {
        let of = |name: &str| text(&report[name]).to_owned();
        *ended.entry((of("status"), action.to_owned(), of("error"))).or_insert(0) += 1;
    };
    let mut n = 0;
    let mut ask = |fields: Value, action: &str| {
        n += 1;
        let report = stage.deploy(&format!("k-{n}"), fields).verdict();
        note(&report, action);
    };
    for action in ["switch", "boot", "test", "dry-activate", "build"] {
        for phase in ["", "prepare", "build", "check", "activate", "verify", "persist", "rollback"] {
            std::fs::write(stage.host.file("fails-in"), phase).unwrap();
            ask(json!({"action": action}), action);
        }
        ask(json!({"action": action, "revision": Value::Null}), action);
        ask(json!({"action": action, "revision": "a..b"}), action);
        ask(json!({"action": action, "timeout_s": 0}), action);
        ask(json!({"action": action, "expires_at": "2020-01-01T00:00:00Z"}), action);
    }
    // A hold without a reason, one that is a hold, what it refuses, and its end.
    for action in ["rollback", "reboot", "hold"] {
        ask(json!({"action": action, "revision": Value::Null}), action);
    }
    for action in ["hold", "switch", "boot", "test", "dry-activate", "build", "release"] {
        ask(json!({"action": action, "reason": "kernel bisect"}), action);
    }
    ask(json!({"action": "cancel", "job": "nowhere"}), "cancel");
    ask(json!({"action": "cancel", "job": "k-1"}), "cancel");
    ask(json!({"action": "cancel"}), "cancel");
    for action in [json!("leap"), json!(""), json!(7), json!({"a": "b"}), json!("x".repeat(500))] {
        ask(json!({"action": action}), "unknown");
    }
    ended
}

#[test]
fn each_request_is_counted_once_by_how_it_ended_and_makes_no_series() {
    let script = "phase=$(cat $DIR/fails-in); [ -z \"$phase\" ] && exit 0\n\
                  echo '@homelab-deploy {\"phase\":\"'$phase'\"}'; exit 1";
    let mut stage = measured(script);
    let before = Page::of(&mut stage.host);
    let ended = all_kinds(&mut stage);
    let all: u64 = ended.values().sum();
    // A refusal is shown once it is kept, a moment after it was said.
    let page =
        eventually("every count", || Some(Page::of(&mut stage.host)).filter(|page| page.sum(TOTAL) >= all));
    for ((status, action, error), times) in &ended {
        let counted = page.ended(status, action, error);
        assert_eq!(counted, *times, "{status} {action} {error:?}");
    }
    assert_eq!(page.sum(TOTAL), all, "{page:#?}");
    let new: Vec<_> = page.0.keys().filter(|series| !before.0.contains_key(*series)).collect();
    assert!(new.is_empty(), "{new:#?}");
    assert_eq!(page.ended("rejected", "switch", "held"), 1);
    // A refused request has no duration, nor have a hold and a release; every other has one.
    let untimed = |(status, action, _): &(String, String, String)| {
        status == "rejected" || ["hold", "release"].contains(&&**action)
    };
    let untimed: u64 = ended.iter().filter(|(ending, _)| untimed(ending)).map(|(_, n)| n).sum();
    let timed = page.sum("homelab_deploy_deployment_duration_seconds_count");
    assert_eq!(timed, all - untimed, "{timed} of {all}, {untimed} without a duration");
}

#[test]
fn a_request_that_names_no_place_to_answer_to_is_counted_too() {
    let mut stage = measured("");
    for body in ["", "[]", "{}", "{\"action\":\"switch\"}"] {
        stage.wire.say_bytes("deploy.test.web1", None, body.into());
    }
    until_ended(&mut stage, ("rejected", "unknown", "invalid_request"), 3);
    until_ended(&mut stage, ("rejected", "switch", "invalid_request"), 1);
}

#[test]
fn a_cancel_that_was_taken_is_counted_as_what_became_of_its_job() {
    let script = format!("{}read _ < $DIR/go", phase("build"));
    let mut stage = Stage::with(&script, |host| crate::page::served(host.gate("go")));
    let reports = stage.deploy("k-1", json!({}));
    reports.until(|report| report["message"] == "build");
    assert_eq!(progress(&mut stage), 1);
    assert_eq!(stage.deploy("k-2", json!({})).verdict()["error"], "already_running");
    assert_eq!(stage.cancel("k-3", "k-1")["status"], "completed");
    assert_eq!(reports.verdict()["error"], "cancelled");
    until_ended(&mut stage, ("rejected", "switch", "already_running"), 1);
    let page = Page::of(&mut stage.host);
    assert_eq!(page.ended("failed", "switch", "cancelled"), 1);
    assert_eq!(page.sum(TOTAL), 2);
    assert_eq!(progress(&mut stage), 0);

    let activating = saying(&[json!({"phase": "activate"})]);
    std::fs::write(
        stage.host.file("rebuild"),
        format!("#!/bin/sh\n{activating}read _ < {}\n", stage.host.file("go").display()),
    )
    .unwrap();
    let reports = stage.deploy("k-4", json!({}));
    reports.until(|report| report["message"] == "activate");
    assert_eq!(stage.cancel("k-5", "k-4")["error"], "too_late");
    stage.host.open("go");
    assert_eq!(reports.verdict()["status"], "completed");
    until_ended(&mut stage, ("rejected", "cancel", "too_late"), 1);
}

fn progress(stage: &mut Stage) -> u64 {
    Page::of(&mut stage.host).count("homelab_deploy_deployment_in_progress")
}

#[test]
fn whoever_hears_a_verdict_finds_it_counted_and_timed() {
    let stage = format!("{}sleep 0.5; {}", phase("build"), phase("activate"));
    let mut stage = measured(&stage);
    for n in 1..=5 {
        stage.completes(&format!("k-{n}"));
        let page = Page::of(&mut stage.host);
        assert_eq!(page.ended("completed", "switch", ""), n, "{n}: {page:#?}");
        assert_eq!(page.timed("switch", true), n, "{n}: {page:#?}");
    }
    let page = Page::of(&mut stage.host);
    // Each took longer than the first bound and shorter than the last.
    let bucket = |metric: &str, labels: &str, bound: &str| {
        page.count(&format!("homelab_deploy_{metric}_duration_seconds_bucket{{{labels},le=\"{bound}\"}}"))
    };
    let switch = "action=\"switch\",success=\"true\"";
    assert_eq!(bucket("deployment", switch, "0.1"), 0);
    assert_eq!(bucket("deployment", switch, "600"), 5);
    assert_eq!(bucket("deployment", switch, "+Inf"), 5);
    assert_eq!(bucket("phase", "phase=\"build\"", "0.1"), 0);
    assert_eq!(bucket("phase", "phase=\"build\"", "+Inf"), 5);
    assert_eq!(bucket("phase", "phase=\"check\"", "+Inf"), 0, "it was skipped");
    let took = page.value(&format!("homelab_deploy_deployment_duration_seconds_sum{{{switch}}}"));
    assert!((2.0..60.0).contains(&took), "{took}");
    let last = page.count("homelab_deploy_last_success_timestamp_seconds");
    let now = u64::try_from(jiff::Timestamp::now().as_second()).unwrap();
    assert!((now - 60..=now).contains(&last), "{last} is not about {now}");
}

#[test]
fn what_changes_nothing_is_no_success() {
    let mut stage = measured("");
    stage.deploy("k-1", json!({"action": "build"})).verdict();
    assert_eq!(Page::of(&mut stage.host).count("homelab_deploy_last_success_timestamp_seconds"), 0);
}

#[test]
fn the_page_says_what_it_is() {
    let mut stage = measured("");
    let reply = get(&address(&mut stage.host), "/metrics");
    assert_eq!(reply.status, 200);
    assert!(reply.head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{}", reply.head);
}
