//! Monitoring of the builder: Prometheus, health checks, and the systemd status line.

use crate::common::metrics_page::{MetricsPage, address, documented_metrics, get, metrics_of, with_metrics};
use crate::common::{ServiceManager, eventually};
use crate::stage::{Stage, builder, says};
use serde_json::json;
use std::fs;

const THREE: &str = r#"
    web1 = sh "web1" "echo one > $out";
    web2 = sh "web2" "exit 1";
    "a b" = sh "x" "echo > $out";
"#;

fn measured(hosts: &str) -> Stage {
    Stage::with(hosts, "", with_metrics)
}

fn built(page: &MetricsPage, host: &str, status: &str) -> u64 {
    page.count(&format!("homelab_deploy_builds_total{{repo=\"infra\",host={host:?},status={status:?}}}"))
}

#[test]
fn each_host_of_a_build_is_counted_once_and_over_restarts() {
    let mut stage = measured(THREE);
    stage.build("m-1", "all").final_report();
    stage.build("m-2", "web1").final_report();
    stage.build("m-3", "nowhere").final_report();
    // A rejected request does not count as a build.
    stage.ask("m-4", "build.nope.web1", json!({"target": "web1"})).final_report();
    let counts = |page: &MetricsPage| {
        let timed =
            "homelab_deploy_build_duration_seconds_count{repo=\"infra\",host=\"web1\",status=\"completed\"}";
        assert_eq!(page.count(timed), built(page, "web1", "completed"));
        (built(page, "web1", "completed"), built(page, "web2", "failed"), built(page, "unknown", "failed"))
    };
    let page = MetricsPage::of(&mut stage.builder);
    assert_eq!(counts(&page), (2, 1, 1));
    assert_eq!(page.sum("homelab_deploy_builds_total"), 4, "unknown hosts create no series: {page:#?}");
    for _ in 0..2 {
        stage.builder.kill();
        stage.builder.restart();
        assert_eq!(counts(&MetricsPage::of(&mut stage.builder)), (2, 1, 1));
    }
    stage.build("m-5", "web1").final_report();
    assert_eq!(counts(&MetricsPage::of(&mut stage.builder)), (3, 1, 1));
}

#[test]
fn a_joined_build_and_a_restart_are_not_counted_twice() {
    let mut stage = measured("");
    let gate = stage.gate("gate");
    stage.hosts(&format!("web1 = sh \"web1\" \"read _ < {}; echo > $out\";", stage.at("gate").display()));
    let first = stage.build("m-1", "web1");
    let running = |report: &serde_json::Value| report["hosts"][0]["state"] == "running";
    first.until(running);
    let second = stage.build("m-2", "web1");
    second.until(running);
    stage.builder.kill();
    stage.builder.restart();
    first.until(running);
    gate.pass();
    gate.pass();
    says(&first.final_report(), "completed", "", &[]);
    says(&second.final_report(), "completed", "", &[]);
    assert_eq!(built(&MetricsPage::of(&mut stage.builder), "web1", "completed"), 1);
}

/// Simulates a power failure after the metrics were saved and before the result was.
#[test]
fn a_counted_but_unfinished_build_is_not_counted_again() {
    let mut stage = measured("web1 = sh \"web1\" \"echo > $out\";");
    says(&stage.build("m-1", "web1").final_report(), "completed", "", &[]);
    stage.builder.kill();
    let (record, metrics) =
        (stage.builder.file("state/builds/m-1.json"), stage.builder.file("state/metrics.json"));
    let text = fs::read_to_string(&record).unwrap();
    let text = text.replace("\"status\": \"completed\"", "\"status\": \"progress\"");
    fs::write(&record, text).unwrap();
    let saved = fs::read_to_string(&metrics).unwrap();
    assert!(saved.contains("\"counted\":[\"m-1\"]"), "{saved}");
    let replies = stage.wire.subscribe("build.responses.m-1");
    stage.builder.restart();
    says(&replies.final_report(), "completed", "", &[]);
    assert_eq!(built(&MetricsPage::of(&mut stage.builder), "web1", "completed"), 1);
}

#[test]
fn it_is_healthy_while_it_is_connected_and_can_write() {
    let mut stage = measured("");
    let address = address(&mut stage.builder);
    assert_eq!((get(&address, "/health").status, get(&address, "/health").body.as_str()), (200, "ok"));
    let page = MetricsPage::of(&mut stage.builder);
    assert_eq!(page.count("homelab_deploy_nats_connected"), 1);
    // Records cannot be written if their directory is missing.
    fs::remove_dir(stage.builder.file("state/builds")).unwrap();
    // The result of the check is cached for a second.
    let health = eventually("an unhealthy reply", || {
        let health = get(&address, "/health");
        (health.status == 503).then_some(health)
    });
    assert!(
        health.body.contains("could not write") && health.body.contains("builds/.probe"),
        "{}",
        health.body
    );
    let report = stage.build("h-1", "web1").next().body;
    says(&report, "rejected", "unhealthy", &["could not write"]);
    stage.nats.stop();
    stage.builder.wait_for_log("not connected");
    let health = get(&address, "/health");
    assert!(health.status == 503 && health.body.starts_with("not connected to the server: "), "{health:?}");
    assert_eq!(MetricsPage::of(&mut stage.builder).count("homelab_deploy_nats_connected"), 0);
}

#[test]
fn the_page_about_metrics_lists_each_of_the_builder() {
    let mut stage = measured(THREE);
    stage.build("m-1", "web1").final_report();
    let page = get(&address(&mut stage.builder), "/metrics").body;
    assert_eq!(documented_metrics("| metric of a builder | type | labels | |"), metrics_of(&page));
}

#[test]
fn the_service_manager_receives_the_status_line() {
    let stage = Stage::new("");
    let gate = stage.gate("gate");
    let commit =
        stage.hosts(&format!("web1 = sh \"web1\" \"read _ < {}; echo > $out\";", stage.at("gate").display()));
    let manager = ServiceManager::new();
    let config = format!("[repos.infra]\nurl = {:?}\n", stage.repo.url());
    let dir = Stage::made();
    let other = builder(&stage.nats, dir.path(), &config);
    let mut other = manager.manages(other).start();
    assert_eq!(manager.next(), "READY=1");
    let url = stage.nats.url();
    manager.status(&[&format!("STATUS=connected to {url}; idle")]);
    let replies = stage.build("s-1", "web1");
    manager.status(&[&format!("; building web1 of infra at {}", &commit[..7])]);
    // Two builders on one NATS server both build.
    gate.pass();
    gate.pass();
    replies.final_report();
    manager.status(&[&format!("STATUS=connected to {url}; idle")]);
    other.terminate();
    while manager.next() != "STOPPING=1" {}
    assert_eq!(other.wait_for_exit().code(), Some(0));
}
