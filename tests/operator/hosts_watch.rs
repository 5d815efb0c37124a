//! `hosts --watch`: a line or an object per change, and a table that is redrawn in place.

use crate::common::{
    Gate, Host, HostBuilder, NatsServer, RawClient, RunningCommand, Terminal, eventually, hold_in_phase,
    lines, operator, run,
};
use crate::usage::nowhere;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn watch(nats: &NatsServer, args: &[&str]) -> Command {
    let mut command = operator(nats, "tester");
    command.args(["hosts", "--watch"]).args(args);
    command
}

/// A host whose build waits at a gate.
fn held(nats: &NatsServer, name: &str, role: &str) -> (Host, Gate) {
    let host = HostBuilder::new(nats, name, "test", role).script(&hold_in_phase("build")).start();
    let gate = Gate::of(&host);
    (host, gate)
}

/// Waits for this number of milliseconds.
fn silence(millis: u64) {
    let start = Instant::now();
    eventually("a silence", || (start.elapsed() > Duration::from_millis(millis)).then_some(()));
}

/// Waits until the displayed age of a host has increased.
fn ticks(terminal: &mut Terminal, host: &str) {
    let older = |line: &String| line.starts_with(host) && line.ends_with(" s") && !line.ends_with(" 0 s");
    terminal.until("an age that grows", |screen| {
        lines(screen).iter().map(|line| line.trim_end().to_owned()).any(|line| older(&line))
    });
}

/// A line without its time.
fn without_time(line: &str) -> String {
    let (time, rest) = line.split_at("2026-11-25 10:00:00".len());
    let digits: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(digits, "0000-00-00 00:00:00", "{line}");
    rest.trim_start().to_owned()
}

#[test]
fn each_change_is_one_line() {
    let nats = NatsServer::start();
    let (host, gate) = held(&nats, "web1", "web");
    let _other = HostBuilder::new(&nats, "db1", "test", "db").args(&["--presence-interval", "1"]).start();
    let mut watch = RunningCommand::start(&mut watch(&nats, &[]));
    watch.wait_for_line("db1  idle");
    watch.wait_for_line("web1  idle");
    let deploy = RunningCommand::start(operator(&nats, "admin").args(["deploy", "web1"]));
    watch.wait_for_line("web1  build");
    gate.pass();
    deploy.wait_for_exit(0);
    watch.wait_for_line("web1  idle  master");
    run(operator(&nats, "admin").args(["hold", "web1", "--reason", "bisect"]), 0);
    watch.wait_for_line("web1  held  master");
    host.terminate();
    watch.wait_for_line("web1  offline, held  master");
    watch.interrupt();
    let ended = watch.wait_for_exit(130);
    assert_eq!(ended.stderr, "", "{ended}");
    let changes: Vec<_> = ended.stdout.lines().map(without_time).collect();
    // The states in between are too short to be reliably printed.
    let sure = |line: &&String| ["accepted", "started", "prepare"].iter().all(|word| !line.contains(word));
    let mut sure: Vec<_> = changes.iter().filter(sure).collect();
    // The result and the new revision may arrive in one change or in two.
    if sure.get(3).is_some_and(|line| *line == "web1  idle") {
        sure.remove(3);
    }
    let expected = [
        "db1  idle",
        "web1  idle",
        "web1  build",
        "web1  idle  master",
        "web1  held  master",
        "web1  offline, held  master",
    ];
    assert_eq!(sure, expected, "{ended}");
}

#[test]
fn with_json_each_change_is_an_object_as_hosts_prints_it() {
    let nats = NatsServer::start();
    let heartbeat = ["--presence-interval", "1", "--heartbeat-interval", "1"];
    let builder = |name, role| HostBuilder::new(&nats, name, "test", role).args(&heartbeat);
    let host = builder("web1", "web").script(&hold_in_phase("build")).start();
    let gate = Gate::of(&host);
    let _other = builder("db1", "db").start();
    let wire = RawClient::connect(&nats, "everything");
    let reports = wire.subscribe("deploy.responses.*.*");
    let present = run(operator(&nats, "tester").args(["hosts", "--output", "json"]), 0).json();
    let mut watch = RunningCommand::start(&mut watch(&nats, &["--output", "json"]));
    let names = |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    for host in &present {
        let first = watch.wait_for_json(|_| true);
        assert_eq!((&first["host"]["name"], &first["presence"]), (&host["host"]["name"], &host["presence"]));
        assert_eq!((names(&first), names(&first["host"])), (names(host), names(&host["host"])));
    }
    let deploy = RunningCommand::start(operator(&nats, "admin").args(["deploy", "web1"]));
    let phase = |name: &str, state: &str| {
        let phase = json!({"name": name, "state": state});
        move |value: &Value| {
            let phases = value["host"]["job"]["phases"].as_array();
            phases.is_some_and(|phases| {
                phases.iter().any(|other| other["name"] == phase["name"] && other["state"] == phase["state"])
            })
        }
    };
    watch.wait_for_json(phase("build", "running"));
    for _ in 0..3 {
        reports.until(|report| report["status"] == "running" && report["message"] == "build");
    }
    gate.pass();
    deploy.wait_for_exit(0);
    // The result and the new revision may arrive in one change or in two.
    watch.wait_for_json(|value| {
        let host = &value["host"];
        host["job"]["status"] == "completed" && host["answer"]["revision"] == "master"
    });
    watch.interrupt();
    let ended = watch.wait_for_exit(130);
    let changes = ended.json();
    let of_db1 = changes.iter().filter(|value| value["host"]["name"] == "db1").count();
    let building = phase("build", "running");
    let building = changes.iter().filter(|value| building(value)).count();
    assert_eq!((of_db1, building), (1, 1), "a heartbeat is not a change: {ended}");
}

#[test]
fn tier_and_role_filter_and_a_new_host_is_reported() {
    let nats = NatsServer::start();
    let _hosts = [("ns1", "prod", "dns"), ("db1", "test", "db"), ("web1", "test", "web")]
        .map(|(name, tier, role)| HostBuilder::new(&nats, name, tier, role).start());
    let mut watch = RunningCommand::start(&mut watch(&nats, &["--tier", "test", "--role", "web"]));
    watch.wait_for_line("web1  idle");
    let _late = HostBuilder::new(&nats, "web2", "test", "web").start();
    watch.wait_for_line("web2  idle");
    watch.interrupt();
    let ended = watch.wait_for_exit(130);
    let changes: Vec<_> = ended.stdout.lines().map(without_time).collect();
    assert_eq!(changes, ["web1  idle", "web2  idle"]);
    // The host is in the inventory from now on.
    let hosts = run(operator(&nats, "tester").arg("hosts"), 0);
    assert!(hosts.stdout.contains("\nweb2 "), "{hosts}");
    let inventory = std::fs::read_dir(nats.dir().join("xdg/tester/homelab-deploy/inventory")).unwrap();
    let saved: String =
        inventory.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect();
    assert!(saved.contains("web2"), "{saved}");
}

#[test]
fn no_hosts_are_reported_until_one_appears() {
    let nats = NatsServer::start();
    let mut watch = RunningCommand::start(&mut watch(&nats, &[]));
    watch.wait_for_line("no host answered: check that a listener is running");
    let _host = HostBuilder::new(&nats, "web1", "test", "web").start();
    watch.wait_for_line("web1  idle");
    watch.interrupt();
    assert_eq!(watch.wait_for_exit(130).stdout.lines().count(), 2);
}

#[test]
fn a_lost_connection_and_a_reconnect_are_reported_and_hosts_keep_their_status() {
    let mut nats = NatsServer::start();
    // The host is stale after 12 s of silence.
    let presence = ["--presence-interval", "4"];
    let mut host = HostBuilder::new(&nats, "web1", "test", "web").args(&presence).start();
    let mut lines = RunningCommand::start(&mut watch(&nats, &[]));
    lines.wait_for_line("web1  idle");
    let mut objects = RunningCommand::start(&mut watch(&nats, &["--output", "json"]));
    objects.wait_for_json(|value| value["host"]["name"] == "web1");
    nats.stop();
    lines.wait_for_line("note: not connected: the connection was lost; retrying");
    objects.wait_for_json(|value| {
        value["event"] == "note" && value["value"].as_str().unwrap().contains("not connected")
    });
    // No line may be printed during this time, so there is no event to wait for.
    silence(12_500);
    // A host may reconnect some seconds later than the operator.
    host.kill();
    nats.restart();
    lines.wait_for_line("note: reconnected; all hosts were queried");
    objects.wait_for_json(|value| {
        value["event"] == "note" && value["value"].as_str().unwrap().contains("reconnected")
    });
    silence(4_000);
    host.restart();
    run(operator(&nats, "tester").args(["hold", "web1", "--reason", "bisect"]), 0);
    lines.wait_for_line("web1  held");
    for watch in [lines, objects] {
        watch.interrupt();
        let ended = watch.wait_for_exit(130);
        for presence in ["stale", "offline"] {
            let (line, field) = (format!("web1  {presence}"), format!("\"presence\":\"{presence}\""));
            assert!(!ended.stdout.contains(&line) && !ended.stdout.contains(&field), "{ended}");
        }
    }
}

#[test]
fn a_closed_pipe_ends_it_with_exit_0_without_a_change() {
    let nats = NatsServer::start();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").start();
    let mut child = watch(&nats, &[]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    assert!(line.ends_with("web1  idle\n"), "{line}");
    drop(out);
    let status = eventually("the end of the watch", || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
}

#[test]
fn on_a_terminal_the_table_is_redrawn_in_place() {
    let nats = NatsServer::start();
    let (_host, gate) = held(&nats, "web1", "web");
    let _other = HostBuilder::new(&nats, "db1", "test", "db").start();
    let mut terminal = Terminal::start(&watch(&nats, &[]));
    terminal.line(&["db1 ", " idle "]);
    ticks(&mut terminal, "web1 ");
    let deploy = RunningCommand::start(operator(&nats, "admin").args(["deploy", "web1"]));
    terminal.line(&["web1 ", " build "]);
    gate.pass();
    deploy.wait_for_exit(0);
    terminal.line(&["web1 ", " idle ", "master"]);
    run(operator(&nats, "admin").args(["hold", "web1", "--reason", "bisect"]), 0);
    terminal.line(&["web1 ", " held ", "master"]);
    terminal.shows("note: web1: held: bisect (admin@");
    run(operator(&nats, "admin").args(["release", "web1"]), 0);
    terminal.hides("note: web1");
    terminal.types("\u{3}");
    let screen = terminal.wait_for_exit();
    assert_eq!(screen.code, 130, "{}", screen.text);
    let shown: Vec<_> = screen.text.lines().filter(|line| !line.trim().is_empty()).collect();
    // Only the last table is visible.
    let [head, db1, web1] = &shown[..] else { panic!("{}", screen.text) };
    assert!(
        head.starts_with("HOST ") && db1.starts_with("db1 ") && web1.starts_with("web1 "),
        "{}",
        screen.text
    );
    assert!(screen.clean && !screen.raw.contains("\u{1b}[?1049h"), "{:?}", screen.raw);
}

#[test]
fn no_terminal_is_too_small_for_it() {
    let nats = NatsServer::start();
    let _hosts = [
        ("db1", "test", "db"),
        ("ns1", "prod", "dns"),
        ("ns2", "prod", "dns"),
        ("web1", "test", "web"),
        ("web2", "test", "web"),
    ]
    .map(|(name, tier, role)| HostBuilder::new(&nats, name, tier, role).start());
    let mut terminal = Terminal::sized(&watch(&nats, &[]), 100, 5);
    terminal.shows("and 3 more lines: enlarge the terminal");
    let head = terminal.line(&["HOST", "TIER", "SEEN"]);
    assert!(terminal.lines()[0].starts_with("HOST"), "{:?}", terminal.lines());
    // Ages increase and the rest stays in place.
    ticks(&mut terminal, "ns1 ");
    assert_eq!(terminal.lines()[0], head);
    terminal.resize(100, 12);
    terminal.line(&["web2 ", " idle "]);
    terminal.hides("more lines");
    assert_eq!(terminal.lines().iter().filter(|line| line.starts_with("HOST")).count(), 1);
    terminal.resize(40, 24);
    terminal.until("a table of 40 columns", |screen| {
        let lines = lines(screen);
        lines.iter().any(|line| line.starts_with("HOST") && line.trim_end().chars().count() <= 40)
    });
    terminal.types("\u{3}");
    assert_eq!(terminal.wait_for_exit().code, 130);
}

#[test]
fn a_key_that_the_server_does_not_know_ends_it_at_once() {
    let nats = NatsServer::start();
    let refused = run(operator(&nats, "stranger").args(["hosts", "--watch"]), 5);
    refused.assert_stderr(&["refused the key", "add its public key to the server's authorization"]);
}

#[test]
fn it_conflicts_with_forget_and_outdated() {
    for other in [&["--forget", "web1"][..], &["--outdated"]] {
        let refused = run(nowhere().args(["hosts", "--watch"]).args(other), 2);
        refused.assert_stderr(&["--watch", other[0], "cannot be used with"]);
    }
}
