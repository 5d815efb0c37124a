//! The limits and permissions of the NATS server, and results that it does not accept.

use crate::common::{HostBuilder, NatsServer, RawClient, ServiceManager, eventually};
use crate::stage::{Stage, host, says, text};
use homelab_deploy::keys::{parse_fleet_file, render_authorization};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::fs;
use std::time::Duration;

const CONFIG: &str = "[repos.infra]\nurl = \"git+https://git.example.org/infra\"\n";
const ONE: &str = "web1 = sh \"web1\" \"echo one > $out\";";

/// Restarts the NATS server with these limits and waits for the builder.
fn limit(stage: &mut Stage, limits: &str) {
    stage.nats.stop();
    stage.builder.wait_for_log("not connected");
    stage.nats.restart_with(limits);
    stage.builder.wait_for_log("connected");
    stage.wire = RawClient::connect(&stage.nats, "admin");
}

#[test]
fn a_low_limit_of_the_server_is_shown_until_the_next_connection() {
    let mut nats = NatsServer::start();
    nats.stop();
    nats.restart_with("max_payload: 4096\n");
    let manager = ServiceManager::new();
    let mut builder = manager.manages(HostBuilder::builder(&nats, CONFIG)).start();
    let warning = "the server accepts messages of at most 4096 bytes (max_payload), so logs and long reports are lost; set max_payload to 65536 in its configuration";
    assert_eq!(builder.last_log(warning)["level"], "WARN");
    manager.status(&["; idle; the server accepts messages of at most 4096 bytes (max_payload)"]);
    nats.stop();
    nats.restart_with("");
    builder.wait_for_log("connected");
    let expected = format!("STATUS=connected to {}; idle", nats.url());
    manager.status_where("without a warning", |status| status == expected);
}

#[test]
fn a_result_is_shortened_to_the_limit_of_the_server() {
    let mut stage = Stage::new("");
    let line = "for i in 1 2 3 4 5 6; do echo line $i of a build that fails and prints much; done; exit 1";
    let each = |n: usize| format!("web{n} = sh \"web{n}\" \"{line}\";");
    stage.hosts(&(1..=8).map(each).collect::<String>());
    limit(&mut stage, "max_payload: 2560\n");
    let report = stage.build("l-1", "all").final_report();
    says(&report, "failed", "build_failed", &["0 of 8 built"]);
    let tail = text(&host(&report, "web1")["log_tail"]);
    assert!(tail.contains("failed with exit code 1"), "{tail}");
}

/// Changes the record of a job on disk.
fn change(stage: &Stage, id: &str, change: impl Fn(&mut Value)) {
    let file = stage.builder.file(&format!("state/builds/{id}.json"));
    let mut record: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    change(&mut record);
    fs::write(&file, record.to_string()).unwrap();
}

#[test]
fn a_result_that_the_server_does_not_accept_does_not_hold_up_the_others() {
    let mut stage = Stage::new(ONE);
    let ids = ["d-1", "d-2", "d-3"];
    for id in ids {
        says(&stage.build(id, "web1").final_report(), "completed", "", &[]);
    }
    stage.builder.kill();
    for id in ids {
        change(&stage, id, |record| record["delivered"] = json!(false));
    }
    // Neither is shortened below 512 bytes.
    for field in ["target", "commit"] {
        change(&stage, "d-1", |record| record["report"][field] = json!("x".repeat(600)));
    }
    stage.nats.stop();
    stage.nats.restart_with("max_payload: 1100\n");
    stage.builder.restart();
    eventually("the delivery of the others", || {
        (is_delivered(&stage, "d-2") && is_delivered(&stage, "d-3")).then_some(())
    });
    assert!(!is_delivered(&stage, "d-1"));
}

/// Whether the record of a job is marked as delivered.
fn is_delivered(stage: &Stage, id: &str) -> bool {
    let record = fs::read(stage.builder.file(&format!("state/builds/{id}.json"))).unwrap();
    serde_json::from_slice::<Value>(&record).unwrap()["delivered"] == true
}

#[test]
fn a_result_is_delivered_on_the_same_connection_after_the_server_has_stalled() {
    let mut stage = Stage::new("");
    let gate = stage.gate("gate");
    stage.hosts(&format!("web1 = sh \"web1\" \"read _ < {}; echo > $out\";", stage.at("gate").display()));
    let reports = stage.build("d-4", "web1");
    reports.until(|report| report["hosts"][0]["state"] == "running");
    stage.nats.suspend();
    gate.pass();
    stage.builder.wait_for_log("the server has not acknowledged the final reports yet");
    stage.nats.signal(Signal::CONT);
    eventually("the delivery", || is_delivered(&stage, "d-4").then_some(()));
    says(&reports.final_report(), "completed", "", &[]);
    assert!(reports.quiet(Duration::from_millis(20)).is_empty());
    stage.builder.terminate();
    let log = format!("{:?}", stage.builder.rest_of_log());
    assert!(!log.contains("not connected"), "{log}");
}

/// A server that reloads its configuration keeps the connections.
#[test]
fn a_refused_subscription_is_made_once_the_server_permits_it() {
    let mut nats = NatsServer::start();
    let fleet = fs::read_to_string(nats.fleet_file()).unwrap();
    let permissions = render_authorization(&parse_fleet_file(&fleet, "fleet.toml".as_ref()).unwrap());
    let all = "subscribe: { allow: [\"build.>\"]";
    assert!(permissions.contains(all), "{permissions}");
    nats.reload(&permissions.replace(all, "subscribe: { allow: [\"build.*.*\"]"));
    let manager = ServiceManager::new();
    let _builder = manager.manages(HostBuilder::builder(&nats, CONFIG)).start();
    manager.status(&["; idle; the server refused build.*: this key has no permission to subscribe there"]);
    nats.reload(&permissions);
    let expected = format!("STATUS=connected to {}; idle", nats.url());
    manager.status_where("without a warning", |status| status == expected);
    let wire = RawClient::connect(&nats, "admin");
    let reports = wire.subscribe("build.responses.p-1");
    wire.publish("build.web1", &json!({"target": "web1", "reply_to": "build.responses.p-1", "repo": "no"}));
    says(&reports.final_report(), "rejected", "unknown_repo", &[]);
}

/// Operators choose the last token of the reply subject, so each request would add a warning.
#[test]
fn a_refused_reply_subject_is_logged_but_is_not_a_warning() {
    let mut nats = NatsServer::start();
    let fleet = fs::read_to_string(nats.fleet_file()).unwrap();
    let permissions = render_authorization(&parse_fleet_file(&fleet, "fleet.toml".as_ref()).unwrap());
    let (all, one) = ("allow: [\"build.responses.>\"", "allow: [\"build.responses.ok\"");
    assert!(permissions.contains(&format!("publish: {{ {all}")), "{permissions}");
    nats.reload(&permissions.replace(&format!("publish: {{ {all}"), &format!("publish: {{ {one}")));
    let manager = ServiceManager::new();
    let mut builder = manager.manages(HostBuilder::builder(&nats, CONFIG)).start();
    let wire = RawClient::connect(&nats, "admin");
    let request =
        |id: &str| json!({"target": "web1", "reply_to": format!("build.responses.{id}"), "repo": "no"});
    wire.publish("build.web1", &request("a-1"));
    builder
        .wait_for_log("the server refused build.responses.a-1: this key has no permission to publish there");
    builder.terminate();
    while let notification = manager.next()
        && notification != "STOPPING=1"
    {
        assert!(!notification.contains("build.responses"), "{notification}");
    }
}
