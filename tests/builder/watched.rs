//! What watches the builder: Prometheus, health checks, and the service manager.

use crate::common::eventually;
use crate::common::page::{Page, address, get, metrics_of, metrics_told, served};
use crate::stage::{Stage, builder, says};
use serde_json::json;
use std::fs;
use std::os::unix::net::UnixDatagram;

const THREE: &str = r#"
    web1 = sh "web1" "echo one > $out";
    web2 = sh "web2" "exit 1";
    "a b" = sh "x" "echo > $out";
"#;

fn measured(hosts: &str) -> Stage {
    Stage::with(hosts, "", served)
}

fn built(page: &Page, host: &str, status: &str) -> u64 {
    page.count(&format!("homelab_deploy_builds_total{{repo=\"infra\",host={host:?},status={status:?}}}"))
}

#[test]
fn each_host_of_a_build_is_counted_once_and_over_restarts() {
    let mut stage = measured(THREE);
    stage.build("m-1", "all").verdict();
    stage.build("m-2", "web1").verdict();
    stage.build("m-3", "nowhere").verdict();
    // A refused request is no build.
    stage.ask("m-4", "build.nope.web1", json!({"target": "web1"})).verdict();
    let counts = |page: &Page| {
        let timed =
            "homelab_deploy_build_duration_seconds_count{repo=\"infra\",host=\"web1\",status=\"completed\"}";
        assert_eq!(page.count(timed), built(page, "web1", "completed"));
        (built(page, "web1", "completed"), built(page, "web2", "failed"), built(page, "unknown", "failed"))
    };
    let page = Page::of(&mut stage.builder);
    assert_eq!(counts(&page), (2, 1, 1));
    assert_eq!(
        page.sum("homelab_deploy_builds_total"),
        4,
        "whatever is asked for makes no series: {page:#?}"
    );
    for _ in 0..2 {
        stage.builder.kill();
        stage.builder.restart();
        assert_eq!(counts(&Page::of(&mut stage.builder)), (2, 1, 1));
    }
    stage.build("m-5", "web1").verdict();
    assert_eq!(counts(&Page::of(&mut stage.builder)), (3, 1, 1));
}

#[test]
fn who_joins_a_build_and_a_restart_in_the_middle_count_nothing_more() {
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
    says(&first.verdict(), "completed", "", &[]);
    says(&second.verdict(), "completed", "", &[]);
    assert_eq!(built(&Page::of(&mut stage.builder), "web1", "completed"), 1);
}

/// The power went after the count was kept and before the verdict was.
#[test]
fn a_build_that_was_counted_and_not_concluded_is_not_counted_again() {
    let mut stage = measured("web1 = sh \"web1\" \"echo > $out\";");
    says(&stage.build("m-1", "web1").verdict(), "completed", "", &[]);
    stage.builder.kill();
    let (record, metrics) =
        (stage.builder.file("state/builds/m-1.json"), stage.builder.file("state/metrics.json"));
    let text = fs::read_to_string(&record).unwrap();
    let text = text.replace("\"status\": \"completed\"", "\"status\": \"progress\"");
    fs::write(&record, text).unwrap();
    let kept = fs::read_to_string(&metrics).unwrap();
    assert!(kept.contains("\"counted\":[\"m-1\"]"), "{kept}");
    let ears = stage.wire.listen("build.responses.m-1");
    stage.builder.restart();
    says(&ears.verdict(), "completed", "", &[]);
    assert_eq!(built(&Page::of(&mut stage.builder), "web1", "completed"), 1);
}

#[test]
fn it_is_healthy_while_it_is_connected_and_can_write() {
    let mut stage = measured("");
    let address = address(&mut stage.builder);
    assert_eq!((get(&address, "/health").status, get(&address, "/health").body.as_str()), (200, "ok"));
    let page = Page::of(&mut stage.builder);
    assert_eq!(page.count("homelab_deploy_nats_connected"), 1);
    // Records cannot be written where there is no folder for them.
    fs::remove_dir(stage.builder.file("state/builds")).unwrap();
    // What was found out is kept for a second.
    let health = eventually("a fault", || {
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
    stage.broker.stop();
    stage.builder.logged("not connected");
    let health = get(&address, "/health");
    assert!(health.status == 503 && health.body.starts_with("not connected to the server: "), "{health:?}");
    assert_eq!(Page::of(&mut stage.builder).count("homelab_deploy_nats_connected"), 0);
}

#[test]
fn the_page_about_metrics_lists_each_of_the_builder() {
    let mut stage = measured(THREE);
    stage.build("m-1", "web1").verdict();
    let page = get(&address(&mut stage.builder), "/metrics").body;
    assert_eq!(metrics_told("| metric of a builder | type | labels | |"), metrics_of(&page));
}

#[test]
fn the_service_manager_hears_how_it_stands() {
    let stage = Stage::new("");
    let gate = stage.gate("gate");
    let commit =
        stage.hosts(&format!("web1 = sh \"web1\" \"read _ < {}; echo > $out\";", stage.at("gate").display()));
    let socket = UnixDatagram::bind(stage.at("notify")).unwrap();
    socket.set_read_timeout(Some(crate::common::DEADLINE)).unwrap();
    let next = || {
        let mut buffer = [0; 4096];
        let length = socket.recv(&mut buffer).expect("the builder says something");
        String::from_utf8_lossy(&buffer[..length]).trim_end().to_owned()
    };
    let until = |words: &str| {
        eventually("a status", || {
            let said = next();
            said.contains(words).then_some(said)
        })
    };
    let config = format!("[repos.infra]\nurl = {:?}\n", stage.repo.url());
    let folder = Stage::made();
    let other = builder(&stage.broker, folder.path(), &config);
    let mut other = other.env("NOTIFY_SOCKET", stage.at("notify").to_str().unwrap()).start();
    assert_eq!(next(), "READY=1");
    let url = stage.broker.url();
    until(&format!("STATUS=connected to {url}; idle"));
    let ears = stage.build("s-1", "web1");
    until(&format!("; builds web1 of infra at {}", &commit[..7]));
    // Two builders of one broker both build.
    gate.pass();
    gate.pass();
    ears.verdict();
    until(&format!("STATUS=connected to {url}; idle"));
    other.terminate();
    until("STOPPING=1");
    assert_eq!(other.ended().code(), Some(0));
    let _ = std::process::Command::new("chmod").args(["-R", "u+w"]).arg(folder.path()).status();
}
