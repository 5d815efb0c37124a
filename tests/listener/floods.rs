//! Floods of messages that anyone with a key can send: they cost neither memory nor the log.

use crate::common::page::{Page, served};
use crate::common::{Broker, eventually};
use crate::stage::{Stage, text};
use serde_json::{Value, json};
use std::fs;

/// The most memory that a process has used so far, in MiB.
fn peak(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

/// The lines of a log that have this text.
fn lines<'a>(log: &'a [Value], message: &str) -> Vec<&'a str> {
    log.iter().map(|line| text(&line["msg"])).filter(|line| line.contains(message)).collect()
}

#[test]
fn what_is_larger_than_any_message_of_ours_is_dropped_unread_and_counted() {
    let mut stage = Stage::with("", served);
    let ask = json!({"reply_to": "deploy.responses.ask.f-1", "x": "x".repeat(70_000)});
    let answers = stage.wire.listen("deploy.responses.ask.f-1");
    for _ in 0..3 {
        stage.wire.say("deploy.discover", &ask);
    }
    let count = "homelab_deploy_messages_dropped_total{reason=\"too_large\"}";
    eventually("the count", || (Page::of(&mut stage.host).count(count) == 3).then_some(()));
    assert_eq!(stage.ask(json!({}))["hostname"], "web1");
    assert!(answers.arrived().is_empty());
    stage.host.terminate();
    stage.host.ended();
    let log = stage.host.rest_of_log();
    assert!(!lines(&log, "messages were dropped").is_empty(), "{log:?}");
}

#[test]
fn a_flood_of_large_questions_costs_little_memory() {
    let stage = Stage::new("");
    let before = peak(stage.host.process());
    let hosts: Vec<_> = (0..6500).map(|n| format!("h{n}")).collect();
    let ask = json!({"reply_to": "deploy.responses.ask.f-2", "hosts": hosts});
    stage.wire.flood("deploy.discover", &ask, 6000);
    // Asked again until it is not dropped, too.
    let reply_to = "deploy.responses.ask.f-3";
    let answers = stage.wire.listen(reply_to);
    eventually("an answer", || {
        stage.wire.say("deploy.discover", &json!({"reply_to": reply_to}));
        stage.wire.round_trip();
        (!answers.arrived().is_empty()).then_some(())
    });
    let grown = peak(stage.host.process()) - before;
    assert!(grown < 64, "{before} MiB, and {grown} MiB more");
}

#[test]
fn of_a_flood_of_questions_that_cannot_be_read_ten_are_logged_and_the_others_are_counted() {
    let mut stage = Stage::new("");
    stage.wire.flood("deploy.discover", &json!({"reply_to": 7}), 500);
    assert_eq!(stage.ask(json!({}))["hostname"], "web1");
    stage.host.terminate();
    stage.host.ended();
    let log = stage.host.rest_of_log();
    let told = lines(&log, "a question could not be read");
    assert_eq!(told.len(), 11, "{told:?}");
    assert_eq!(told[10], "490 more like this in 10 s: a question could not be read");
}

#[test]
fn replies_that_the_server_refuses_cost_neither_the_log_nor_warnings() {
    let mut stage = Stage::on(Broker::without_base_subjects(), "", |host| host);
    let own = json!({"reply_to": "deploy.responses.ask.f-5", "reply_per_host": true});
    let answers = stage.wire.listen("deploy.responses.ask.f-5.web1");
    let presence = stage.wire.listen("deploy.responses.presence");
    for n in 0..100 {
        stage.wire.say("deploy.discover", &json!({"reply_to": format!("deploy.responses.ask.n-{n}")}));
    }
    // What it was refused has arrived before this.
    stage.wire.say("deploy.discover", &own);
    answers.next();
    stage.host.terminate();
    stage.host.ended();
    let farewell = presence.until(|presence| presence["online"] == false);
    assert_eq!(farewell["warnings"], Value::Null);
    let log = stage.host.rest_of_log();
    assert_eq!(lines(&log, "the server refused deploy.responses.ask.n-").len(), 20, "{log:?}");
}

#[test]
fn of_refused_requests_the_first_are_logged_each_and_those_of_a_flood_are_counted() {
    let mut stage = Stage::new("");
    let reports = stage.wire.listen("deploy.responses.*");
    for n in 0..30 {
        stage.send(&format!("f-{n}"), json!({"action": "leap"}));
    }
    for _ in 0..30 {
        assert_eq!(reports.next().body["status"], "rejected");
    }
    // One that is accepted is logged in any case.
    stage.completes("f-30");
    stage.host.terminate();
    stage.host.ended();
    let log = stage.host.rest_of_log();
    assert_eq!(lines(&log, "refused a request").len(), 21, "{log:?}");
    assert_eq!(lines(&log, "10 more like this in 10 s: refused a request").len(), 1);
    assert_eq!(lines(&log, "accepted a job").len(), 1);
}
