//! `history`: past jobs of hosts.

use crate::common::{CommandOutput, FakeListener, HostBuilder, NatsServer, base_presence, operator, run};
use serde_json::{Value, json};
use std::fs;
use std::sync::mpsc::channel;

/// The rows of a table, with single spaces.
fn rows(ended: &CommandOutput) -> Vec<String> {
    let squeezed = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    ended.stdout.lines().map(squeezed).collect()
}

fn entry(n: u64) -> Value {
    json!({"id": format!("h-{n}"), "at": "2026-02-03T04:05:06Z", "action": "switch", "status": "completed",
        "elapsed_ms": 1000})
}

/// A reply of a host with `all` entries, numbered from 1, with at most seven entries per page.
fn page(all: u64, ask: &Value) -> Value {
    let before = ask["before"].as_str().map_or(all + 1, |id| id[2..].parse().unwrap());
    let count = ask["limit"].as_u64().unwrap().min(7).min(before - 1);
    let entries: Vec<_> = (before - count..before).rev().map(entry).collect();
    let next = (before - count > 1).then(|| format!("h-{}", before - count));
    json!({"query": "history", "hostname": "old1", "entries": entries, "next": next})
}

#[test]
fn the_table_lists_jobs_newest_first() {
    let nats = NatsServer::start();
    let marker = r#"echo '@homelab-deploy {"phase":"activate","commit":"0123456789abcdef","generation":42}'"#;
    let script = format!("{marker}\n[ ! -e $DIR/bad ]");
    let host = HostBuilder::new(&nats, "web1", "test", "web").script(&script).start();
    let _idle = HostBuilder::new(&nats, "db1", "test", "db").start();
    run(operator(&nats, "tester").args(["deploy", "web1", "--branch", "v2"]), 0);
    fs::write(host.file("bad"), "").unwrap();
    run(operator(&nats, "tester").args(["deploy", "web1", "--action", "boot"]), 1);

    let mut command = operator(&nats, "viewer");
    let entries = run(command.args(["history", "web1", "--output", "json"]), 0).json();
    let mut command = operator(&nats, "viewer");
    let shown = run(command.env("TZ", "UTC").arg("history"), 0);
    let issuer = entries[0]["answer"]["issuer"].as_str().unwrap();
    let cells = |at: usize, rest: &str| {
        let entry = &entries[at]["answer"];
        let time = entry["elapsed_ms"].as_u64().unwrap();
        let when = entry["at"].as_str().unwrap()[..16].replace('T', " ");
        format!("web1 {when} {rest} 42 {}.{} s {issuer}", time / 1000, time % 1000 / 100)
    };
    let expected = [
        "HOST WHEN RESULT ACTION REVISION GEN TIME BY".to_owned(),
        cells(0, "failed: activation failed boot master 0123456"),
        cells(1, "completed switch v2 0123456"),
    ];
    assert_eq!(rows(&shown), expected);
}

#[test]
fn times_are_in_the_zone_of_the_reader() {
    let nats = NatsServer::start();
    let _peer = FakeListener::start(&nats, base_presence("old1", "test", "any"), |ask| vec![page(1, ask)]);
    let shown = |zone: &str| run(operator(&nats, "viewer").env("TZ", zone).arg("history"), 0);
    assert_eq!(rows(&shown("UTC"))[1], "old1 2026-02-03 04:05 completed switch 1.0 s");
    assert_eq!(rows(&shown("UTC-05:30"))[1], "old1 2026-02-03 09:35 completed switch 1.0 s");
}

#[test]
fn jobs_are_grouped_by_host_and_survive_a_restart() {
    let nats = NatsServer::start();
    let mut hosts = ["web1", "db1"].map(|name| HostBuilder::new(&nats, name, "test", "any").start());
    for (host, branch) in [("web1", "a"), ("db1", "b"), ("web1", "c"), ("db1", "d")] {
        run(operator(&nats, "tester").args(["deploy", host, "--branch", branch]), 0);
    }
    let entries = |args: &[&str]| -> Vec<(String, String)> {
        let mut command = operator(&nats, "viewer");
        let lines = run(command.args(["history", "--output", "json"]).args(args), 0).json();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        lines.iter().map(|line| (text(&line["host"]), text(&line["answer"]["revision"]))).collect()
    };
    let all = ["db1 d", "db1 b", "web1 c", "web1 a"];
    let all = all.map(|line| line.split_once(' ').unwrap()).map(|(a, b)| (a.to_owned(), b.to_owned()));
    assert_eq!(entries(&[]), all);
    for host in &mut hosts {
        host.terminate();
        assert!(host.wait_for_exit().success());
        host.restart();
    }
    assert_eq!(entries(&[]), all);
    assert_eq!(entries(&["--limit", "1"]), [all[0].clone(), all[2].clone()]);
    assert_eq!(entries(&["web1"]), all[2..]);
}

#[test]
fn pages_are_read_on_until_the_limit() {
    let nats = NatsServer::start();
    let (asked, asks) = channel();
    let _peer = FakeListener::start(&nats, base_presence("old1", "test", "any"), move |ask| {
        asked.send([ask["limit"].clone(), ask["before"].clone(), ask["hosts"].clone()]).unwrap();
        vec![page(17, ask)]
    });
    for (limit, expected, questions) in [
        ("7", (17, 11), vec![(7, Value::Null)]),
        ("9", (17, 9), vec![(9, Value::Null), (2, json!("h-11"))]),
        ("17", (17, 1), vec![(17, Value::Null), (10, json!("h-11")), (3, json!("h-4"))]),
        ("100", (17, 1), vec![(100, Value::Null), (93, json!("h-11")), (86, json!("h-4"))]),
    ] {
        let mut command = operator(&nats, "viewer");
        let lines = run(command.args(["history", "--limit", limit, "--output", "json"]), 0).json();
        let ids: Vec<_> = lines.iter().map(|line| line["answer"]["id"].clone()).collect();
        let (newest, oldest) = expected;
        assert_eq!(ids, (oldest..=newest).rev().map(|n: u64| json!(format!("h-{n}"))).collect::<Vec<_>>());
        let asked: Vec<_> = asks.try_iter().collect();
        let expected: Vec<_> =
            questions.iter().map(|(limit, before)| [json!(limit), before.clone(), json!(["old1"])]).collect();
        assert_eq!(asked, expected, "{limit}");
    }
}

#[test]
fn a_host_that_sends_endless_pages_is_not_read_forever() {
    let nats = NatsServer::start();
    for (answer, count) in [
        (json!({"query": "history", "hostname": "old1", "entries": [], "next": "h-1"}), 0),
        (json!({"query": "history", "hostname": "old1", "entries": [entry(1)], "next": "h-1"}), 20),
        (
            json!({"query": "history", "hostname": "old1", "entries": (0..50).map(entry).collect::<Vec<_>>()}),
            20,
        ),
    ] {
        let _peer =
            FakeListener::start(&nats, base_presence("old1", "test", "any"), move |_| vec![answer.clone()]);
        let shown = run(operator(&nats, "viewer").arg("history"), 0);
        if count == 0 {
            assert_eq!(shown.stdout, "no job has finished yet\n");
        } else {
            assert_eq!(shown.stdout.lines().count(), 1 + count, "{shown}");
        }
    }
}

#[test]
fn a_host_that_stops_answering_between_two_pages_is_named_with_exit_3() {
    let nats = NatsServer::start();
    let _here = HostBuilder::new(&nats, "web1", "test", "web").start();
    run(operator(&nats, "tester").args(["deploy", "web1"]), 0);
    let _peer = FakeListener::start(&nats, base_presence("old1", "test", "any"), |ask| {
        if ask["before"].is_null() { vec![page(17, ask)] } else { Vec::new() }
    });
    let shown = run(operator(&nats, "viewer").arg("history"), 3);
    let rows = rows(&shown);
    assert!(rows[1].starts_with("web1 ") && rows.len() == 3, "{shown}");
    assert_eq!(rows[2], "old1: no answer to the query: try again");
}

#[test]
fn unresponsive_hosts_are_named_below_the_table() {
    let nats = NatsServer::start();
    let gone = HostBuilder::new(&nats, "web1", "test", "web").start();
    let _idle = HostBuilder::new(&nats, "web2", "test", "web").start();
    let nothing = run(operator(&nats, "viewer").arg("history"), 0);
    assert_eq!(nothing.stdout, "no job has finished yet\n");
    drop(gone);
    let shown = run(operator(&nats, "viewer").arg("history"), 3);
    assert!(shown.stdout.starts_with("web1: offline, last seen "), "{shown}");
    let unknown = run(operator(&nats, "viewer").args(["history", "web3"]), 2);
    unknown.assert_stderr(&["unknown host web3 (did you mean web1, web2?)"]);
}

#[test]
fn an_unreadable_reply_is_reported() {
    let nats = NatsServer::start();
    let _peer = FakeListener::start(&nats, base_presence("old1", "test", "any"), |_| {
        vec![json!({"query": "history", "hostname": "old1", "entries": [{"id": "\u{1b}[31m"}]})]
    });
    let shown = run(operator(&nats, "viewer").arg("history"), 3);
    assert!(shown.stdout.contains("note: could not read a reply: bad field"), "{shown}");
    assert!(!shown.stdout.contains('\u{1b}'));
}
