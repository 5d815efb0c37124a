//! Hosts listed in the configuration: they are reported as missing even if never seen.

use crate::common::{HostBuilder, NatsServer, Terminal, eventually, run};
use crate::config_home::{Home, context};
use std::fs;

const HOSTS: &str =
    "hosts.web1 = { tier = \"test\", role = \"web\" }\nhosts.db1 = { tier = \"test\", role = \"db\" }";

/// A context that lists two hosts, one of which is running.
fn listed() -> (NatsServer, Home, crate::common::Host) {
    let nats = NatsServer::start();
    let host = HostBuilder::new(&nats, "web1", "test", "web").start();
    let home = Home::of(&nats, "tester", HOSTS);
    (nats, home, host)
}

#[test]
fn a_listed_host_that_was_never_seen_is_in_every_table() {
    let (_nats, home, _host) = listed();
    for _ in 0..2 {
        let listed = run(home.command().arg("hosts"), 0).stdout;
        let lines: Vec<String> =
            listed.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(lines[1], "db1 test db offline, never seen", "{listed}");
        assert!(lines[2].starts_with("web1 test web idle"), "{listed}");
    }
    let status = run(home.command().arg("status"), 3);
    assert!(
        status.stdout.lines().any(|line| line.starts_with("db1 ") && line.contains("offline, never seen")),
        "{status}"
    );
    let json = run(home.command().args(["hosts", "--output", "json"]), 0).json();
    assert_eq!((&json[0]["host"]["name"], &json[0]["presence"]), (&"db1".into(), &"offline".into()));
    assert_eq!(json[0]["host"]["last_seen"], serde_json::Value::Null);
    for (tier, role, there) in [("test", "db", true), ("prod", "db", false), ("test", "web", false)] {
        let code = if role == "db" { 3 } else { 0 };
        let some = run(home.command().args(["hosts", "--tier", tier, "--role", role]), code);
        assert_eq!(some.stdout.contains("\ndb1"), there, "{some}");
    }
}

#[test]
fn a_deployment_includes_a_listed_host() {
    let (nats, home, _host) = listed();
    let wire = crate::common::RawClient::connect(&nats, "everything");
    let requests = wire.subscribe("deploy.test.db1");
    let all = run(home.command().args(["deploy", "--all", "--tier", "test"]), 3);
    assert!(
        all.stdout.lines().any(|line| line.starts_with("db1 ") && line.ends_with("offline, never seen")),
        "{all}"
    );
    assert!(all.stdout.lines().any(|line| line.starts_with("web1 ") && line.contains("completed")), "{all}");
    assert_eq!(requests.next().body["revision"], "master");
    run(home.command().args(["deploy", "--all", "--tier", "test", "--skip-offline"]), 0);
    wire.round_trip();
    assert_eq!(requests.received().len(), 0);
}

#[test]
fn the_prompt_shows_that_it_was_never_seen() {
    let nats = NatsServer::start();
    let _host = HostBuilder::new(&nats, "ns1", "prod", "dns").start();
    let home = Home::of(&nats, "admin", "hosts.ns2 = { tier = \"prod\" }");
    let mut asked = Terminal::start(home.command().args(["deploy", "--all", "--tier", "prod"]));
    asked.shows("Continue? Type yes:");
    asked.types("no\n");
    let asked = asked.wait_for_exit().text;
    assert!(
        asked.lines().any(|line| line.starts_with("ns2") && line.contains("offline, never seen")),
        "{asked}"
    );
}

#[test]
fn a_listed_host_that_answers_is_like_any_other() {
    let (nats, home, _host) = listed();
    run(home.command().arg("hosts"), 0);
    let inventory = home.path().join("state/homelab-deploy/inventory/home.json");
    let saved = fs::read_to_string(&inventory).unwrap();
    assert!(
        saved.contains("web1") && !saved.contains("db1"),
        "hosts that were never seen are not saved: {saved}"
    );
    let mut late = HostBuilder::new(&nats, "db1", "test", "db").start();
    // A query ends 250 ms after the last reply, which may be that of the other host.
    eventually("a reply of db1", || {
        let hosts = run(home.command().arg("hosts"), 0).stdout;
        hosts.lines().any(|line| line.starts_with("db1") && line.contains("idle")).then_some(())
    });
    run(home.command().args(["deploy", "db1"]), 0);
    late.kill();
    let hosts = run(home.command().arg("hosts"), 0);
    let row = hosts.stdout.lines().find(|line| line.starts_with("db1")).unwrap();
    assert!(row.contains("offline") && !row.contains("never seen"), "{hosts}");
    // The host stays in the inventory after it is removed from the file.
    home.write(&context(&nats, "tester", ""));
    let hosts = run(home.command().arg("hosts"), 0);
    assert!(hosts.stdout.lines().any(|line| line.starts_with("db1 ")), "{hosts}");
}

#[test]
fn forgetting_a_listed_host_names_the_file() {
    let (_nats, home, _host) = listed();
    run(home.command().arg("hosts"), 0);
    let forget = |host: &str, code| run(home.command().args(["hosts", "--forget", host]), code);
    let place = home.at("4:7");
    assert_eq!(
        forget("web1", 0).stdout,
        format!("forgot web1, but it is still expected because {place} lists it\n")
    );
    let expected = format!("web1 was never seen; it is expected because {place} lists it: remove it there");
    forget("web1", 2).assert_stderr(&[&expected]);
    forget("db1", 2).assert_stderr(&["db1 was never seen; it is expected because", &home.at("5:7")]);
    forget("nosuch", 2).assert_stderr(&["nosuch is not in the inventory; nothing was forgotten"]);
}

#[test]
fn the_console_shows_it_too() {
    let (_nats, home, _host) = listed();
    let frame = run(home.command().args(["tui", "--snapshot"]), 0).stdout;
    let row = frame.lines().find(|line| line.contains("db1")).unwrap_or_else(|| panic!("{frame}"));
    assert!(row.contains("offline"), "{frame}");
}
