//! Floods of messages, which any client with a key can send, use little memory and few log lines.

use crate::common::metrics_page::{MetricsPage, with_metrics};
use crate::common::{NatsServer, eventually};
use crate::stage::{Stage, text};
use serde_json::{Value, json};
use std::fs;

/// Peak memory of a process, in MiB.
fn peak(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

/// The log messages that contain this string.
fn lines<'a>(log: &'a [Value], message: &str) -> Vec<&'a str> {
    log.iter().map(|line| text(&line["msg"])).filter(|line| line.contains(message)).collect()
}

#[test]
fn an_oversized_message_is_dropped_unread_and_counted() {
    let mut stage = Stage::with("", with_metrics);
    let query = json!({"reply_to": "deploy.responses.ask.f-1", "x": "x".repeat(70_000)});
    let replies = stage.wire.subscribe("deploy.responses.ask.f-1");
    for _ in 0..3 {
        stage.wire.publish("deploy.discover", &query);
    }
    let count = "homelab_deploy_messages_dropped_total{reason=\"too_large\"}";
    eventually("the count", || (MetricsPage::of(&mut stage.host).count(count) == 3).then_some(()));
    assert_eq!(stage.query(json!({}))["hostname"], "web1");
    assert!(replies.received().is_empty());
    stage.host.terminate();
    stage.host.wait_for_exit();
    let log = stage.host.rest_of_log();
    assert!(!lines(&log, "messages were dropped").is_empty(), "{log:?}");
}

#[test]
fn a_flood_of_large_queries_costs_little_memory() {
    let stage = Stage::new("");
    let before = peak(stage.host.process());
    let hosts: Vec<_> = (0..6500).map(|n| format!("h{n}")).collect();
    let query = json!({"reply_to": "deploy.responses.ask.f-2", "hosts": hosts});
    stage.wire.flood("deploy.discover", &query, 6000);
    // Repeated, because this query may be dropped, too.
    let reply_to = "deploy.responses.ask.f-3";
    let replies = stage.wire.subscribe(reply_to);
    eventually("a reply", || {
        stage.wire.publish("deploy.discover", &json!({"reply_to": reply_to}));
        stage.wire.round_trip();
        (!replies.received().is_empty()).then_some(())
    });
    let grown = peak(stage.host.process()) - before;
    assert!(grown < 64, "{before} MiB, and {grown} MiB more");
}

#[test]
fn of_many_unreadable_queries_ten_are_logged_and_the_others_are_counted() {
    let mut stage = Stage::new("");
    stage.wire.flood("deploy.discover", &json!({"reply_to": 7}), 500);
    assert_eq!(stage.query(json!({}))["hostname"], "web1");
    stage.host.terminate();
    stage.host.wait_for_exit();
    let log = stage.host.rest_of_log();
    let logged = lines(&log, "failed to parse a query");
    assert_eq!(logged.len(), 11, "{logged:?}");
    assert_eq!(logged[10], "490 more like this in 10 s: failed to parse a query");
}

#[test]
fn replies_that_the_server_refuses_cause_few_log_lines_and_no_warnings() {
    let mut stage = Stage::on(NatsServer::without_base_subjects(), "", |host| host);
    let own = json!({"reply_to": "deploy.responses.ask.f-5", "reply_per_host": true});
    let replies = stage.wire.subscribe("deploy.responses.ask.f-5.web1");
    let presence = stage.wire.subscribe("deploy.responses.presence");
    for n in 0..100 {
        stage.wire.publish("deploy.discover", &json!({"reply_to": format!("deploy.responses.ask.n-{n}")}));
    }
    // Permission violations for the replies above arrive before this reply.
    stage.wire.publish("deploy.discover", &own);
    replies.next();
    stage.host.terminate();
    stage.host.wait_for_exit();
    let last_presence = presence.until(|presence| presence["online"] == false);
    assert_eq!(last_presence["warnings"], Value::Null);
    let log = stage.host.rest_of_log();
    assert_eq!(lines(&log, "the server refused deploy.responses.ask.n-").len(), 20, "{log:?}");
}

#[test]
fn the_first_refused_requests_are_logged_and_those_of_a_flood_are_counted() {
    let mut stage = Stage::new("");
    let reports = stage.wire.subscribe("deploy.responses.*");
    for n in 0..30 {
        stage.send(&format!("f-{n}"), json!({"action": "leap"}));
    }
    for _ in 0..30 {
        assert_eq!(reports.next().body["status"], "rejected");
    }
    // An accepted request is always logged.
    stage.completes("f-30");
    stage.host.terminate();
    stage.host.wait_for_exit();
    let log = stage.host.rest_of_log();
    assert_eq!(lines(&log, "refused a request").len(), 21, "{log:?}");
    assert_eq!(lines(&log, "10 more like this in 10 s: refused a request").len(), 1);
    assert_eq!(lines(&log, "accepted a job").len(), 1);
}
