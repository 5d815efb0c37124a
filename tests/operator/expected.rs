//! Hosts that the configuration lists: they are missed also where they were never heard of.

use crate::common::{Broker, HostBuilder, Terminal, run};
use crate::configured::{Home, context};
use std::fs;

const HOSTS: &str =
    "hosts.web1 = { tier = \"test\", role = \"web\" }\nhosts.db1 = { tier = \"test\", role = \"db\" }";

/// A context that lists two hosts, of which one is there.
fn listed() -> (Broker, Home, crate::common::Host) {
    let broker = Broker::start();
    let host = HostBuilder::new(&broker, "web1", "test", "web").start();
    let home = Home::of(&broker, "tester", HOSTS);
    (broker, home, host)
}

#[test]
fn a_listed_host_that_was_never_heard_of_stands_in_every_table() {
    let (_broker, home, _host) = listed();
    for _ in 0..2 {
        let listed = run(home.command().arg("hosts"), 0).out;
        let lines: Vec<String> =
            listed.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(lines[1], "db1 test db offline, never seen", "{listed}");
        assert!(lines[2].starts_with("web1 test web idle"), "{listed}");
    }
    let status = run(home.command().arg("status"), 3);
    assert!(
        status.out.lines().any(|line| line.starts_with("db1 ") && line.contains("offline, never seen")),
        "{status}"
    );
    let json = run(home.command().args(["hosts", "--output", "json"]), 0).json();
    assert_eq!((&json[0]["host"]["name"], &json[0]["presence"]), (&"db1".into(), &"offline".into()));
    assert_eq!(json[0]["host"]["seen"], serde_json::Value::Null);
    for (tier, role, there) in [("test", "db", true), ("prod", "db", false), ("test", "web", false)] {
        let code = if role == "db" { 3 } else { 0 };
        let some = run(home.command().args(["hosts", "--tier", tier, "--role", role]), code);
        assert_eq!(some.out.contains("\ndb1"), there, "{some}");
    }
}

#[test]
fn a_deployment_counts_it_and_asks_it_all_the_same() {
    let (broker, home, _host) = listed();
    let wire = crate::common::Wire::connect(&broker, "everything");
    let requests = wire.listen("deploy.test.db1");
    let all = run(home.command().args(["deploy", "--all", "--tier", "test"]), 3);
    assert!(
        all.out.lines().any(|line| line.starts_with("db1 ") && line.ends_with("offline, never seen")),
        "{all}"
    );
    assert!(all.out.lines().any(|line| line.starts_with("web1 ") && line.contains("completed")), "{all}");
    assert_eq!(requests.next().body["revision"], "master");
    run(home.command().args(["deploy", "--all", "--tier", "test", "--skip-offline"]), 0);
    wire.round_trip();
    assert_eq!(requests.arrived().len(), 0);
}

#[test]
fn the_question_says_that_it_was_never_seen() {
    let broker = Broker::start();
    let _host = HostBuilder::new(&broker, "ns1", "prod", "dns").start();
    let home = Home::of(&broker, "admin", "hosts.ns2 = { tier = \"prod\" }");
    let mut asked = Terminal::start(home.command().args(["deploy", "--all", "--tier", "prod"]));
    asked.shows("Go on? Type yes:");
    asked.types("no\n");
    let asked = asked.ended().text;
    assert!(
        asked.lines().any(|line| line.starts_with("ns2") && line.contains("offline, never seen")),
        "{asked}"
    );
}

#[test]
fn once_it_answers_it_is_like_any_other() {
    let (broker, home, _host) = listed();
    run(home.command().arg("hosts"), 0);
    let roster = home.path().join("state/homelab-deploy/roster/home.json");
    let kept = fs::read_to_string(&roster).unwrap();
    assert!(kept.contains("web1") && !kept.contains("db1"), "who was never seen is not written down: {kept}");
    let mut late = HostBuilder::new(&broker, "db1", "test", "db").start();
    run(home.command().args(["deploy", "db1"]), 0);
    late.kill();
    let hosts = run(home.command().arg("hosts"), 0);
    let row = hosts.out.lines().find(|line| line.starts_with("db1")).unwrap();
    assert!(row.contains("offline") && !row.contains("never seen"), "{hosts}");
    // Where the file no longer lists it, it is still known.
    home.write(&context(&broker, "tester", ""));
    let hosts = run(home.command().arg("hosts"), 0);
    assert!(hosts.out.lines().any(|line| line.starts_with("db1 ")), "{hosts}");
}

#[test]
fn forgetting_a_listed_host_says_that_the_file_lists_it() {
    let (_broker, home, _host) = listed();
    run(home.command().arg("hosts"), 0);
    let forget = |host: &str, code| run(home.command().args(["hosts", "--forget", host]), code);
    let place = home.at("4:7");
    assert_eq!(forget("web1", 0).out, format!("web1 is forgotten, but still expected: {place} lists it\n"));
    let said = format!("web1 was never seen, it is expected because {place} lists it; remove it there");
    forget("web1", 2).complains(&[&said]);
    forget("db1", 2).complains(&["db1 was never seen, it is expected because", &home.at("5:7")]);
    forget("nosuch", 2).complains(&["nosuch is not in the roster; nothing was forgotten"]);
}

#[test]
fn the_console_shows_it_too() {
    let (_broker, home, _host) = listed();
    let frame = run(home.command().args(["tui", "--snapshot"]), 0).out;
    let row = frame.lines().find(|line| line.contains("db1")).unwrap_or_else(|| panic!("{frame}"));
    assert!(row.contains("offline"), "{frame}");
}
