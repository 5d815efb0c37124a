//! The fleet as it moves: a line or an object for each change, and a table that is drawn anew where it stands.

use crate::common::{
    Broker, Gate, Host, HostBuilder, Running, Terminal, Wire, eventually, held_in, lines, operator, run,
};
use crate::usage::nowhere;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn watch(broker: &Broker, args: &[&str]) -> Command {
    let mut command = operator(broker, "tester");
    command.args(["hosts", "--watch"]).args(args);
    command
}

/// A host whose build is held, and the gate that lets it go on.
fn held(broker: &Broker, name: &str, role: &str) -> (Host, Gate) {
    let host = HostBuilder::new(broker, name, "test", role).script(&held_in("build")).start();
    let gate = Gate::of(&host);
    (host, gate)
}

/// Waits until the age of a host has grown.
fn ticks(terminal: &mut Terminal, host: &str) {
    let older = |line: &String| line.starts_with(host) && line.ends_with(" s") && !line.ends_with(" 0 s");
    terminal.until("an age that grows", |screen| {
        lines(screen).iter().map(|line| line.trim_end().to_owned()).any(|line| older(&line))
    });
}

/// What a line says after its time.
fn told(line: &str) -> String {
    let (time, rest) = line.split_at("2026-11-25 10:00:00".len());
    let digits: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(digits, "0000-00-00 00:00:00", "{line}");
    rest.trim_start().to_owned()
}

#[test]
fn each_change_is_a_line_and_nothing_is_said_twice() {
    let broker = Broker::start();
    let (host, gate) = held(&broker, "web1", "web");
    let _other = HostBuilder::new(&broker, "db1", "test", "db").args(&["--presence-interval", "1"]).start();
    let mut watch = Running::start(&mut watch(&broker, &[]));
    watch.says("db1  idle");
    watch.says("web1  idle");
    let deploy = Running::start(operator(&broker, "admin").args(["deploy", "web1"]));
    watch.says("web1  build");
    gate.pass();
    deploy.ended(0);
    watch.says("web1  idle  master");
    run(operator(&broker, "admin").args(["hold", "web1", "--reason", "bisect"]), 0);
    watch.says("web1  held  master");
    host.terminate();
    watch.says("web1  offline, held  master");
    watch.interrupt();
    let ended = watch.ended(130);
    assert_eq!(ended.err, "", "{ended}");
    let told: Vec<_> = ended.out.lines().map(told).collect();
    // Those in between come and go too quickly for any of them to be sure.
    let sure = |line: &&String| ["accepted", "started", "prepare"].iter().all(|word| !line.contains(word));
    let mut sure: Vec<_> = told.iter().filter(sure).collect();
    // The verdict and what runs by now come one after the other, or at once.
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
    let broker = Broker::start();
    let heartbeat = ["--presence-interval", "1", "--heartbeat-interval", "1"];
    let builder = |name, role| HostBuilder::new(&broker, name, "test", role).args(&heartbeat);
    let host = builder("web1", "web").script(&held_in("build")).start();
    let gate = Gate::of(&host);
    let _other = builder("db1", "db").start();
    let wire = Wire::connect(&broker, "everything");
    let reports = wire.listen("deploy.responses.*.*");
    let present = run(operator(&broker, "tester").args(["hosts", "--output", "json"]), 0).json();
    let mut watch = Running::start(&mut watch(&broker, &["--output", "json"]));
    let names = |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    for host in &present {
        let first = watch.tells(|_| true);
        assert_eq!((&first["host"]["name"], &first["presence"]), (&host["host"]["name"], &host["presence"]));
        assert_eq!((names(&first), names(&first["host"])), (names(host), names(&host["host"])));
    }
    let deploy = Running::start(operator(&broker, "admin").args(["deploy", "web1"]));
    let phase = |name: &str, state: &str| {
        let phase = json!({"name": name, "state": state});
        move |value: &Value| {
            let phases = value["host"]["job"]["phases"].as_array();
            phases.is_some_and(|phases| {
                phases.iter().any(|other| other["name"] == phase["name"] && other["state"] == phase["state"])
            })
        }
    };
    watch.tells(phase("build", "running"));
    for _ in 0..3 {
        reports.until(|report| report["status"] == "running" && report["message"] == "build");
    }
    gate.pass();
    deploy.ended(0);
    // The verdict and what runs by now come one after the other, or at once.
    watch.tells(|value| {
        let host = &value["host"];
        host["job"]["status"] == "completed" && host["answer"]["revision"] == "master"
    });
    watch.interrupt();
    let ended = watch.ended(130);
    let told = ended.json();
    let of_db1 = told.iter().filter(|value| value["host"]["name"] == "db1").count();
    let building = phase("build", "running");
    let building = told.iter().filter(|value| building(value)).count();
    assert_eq!((of_db1, building), (1, 1), "that it lives is no change: {ended}");
}

#[test]
fn tier_and_role_choose_and_a_host_that_comes_is_told() {
    let broker = Broker::start();
    let _hosts = [("ns1", "prod", "dns"), ("db1", "test", "db"), ("web1", "test", "web")]
        .map(|(name, tier, role)| HostBuilder::new(&broker, name, tier, role).start());
    let mut watch = Running::start(&mut watch(&broker, &["--tier", "test", "--role", "web"]));
    watch.says("web1  idle");
    let _late = HostBuilder::new(&broker, "web2", "test", "web").start();
    watch.says("web2  idle");
    watch.interrupt();
    let ended = watch.ended(130);
    let told: Vec<_> = ended.out.lines().map(told).collect();
    assert_eq!(told, ["web1  idle", "web2  idle"]);
    // It is expected from now on.
    let hosts = run(operator(&broker, "tester").arg("hosts"), 0);
    assert!(hosts.out.contains("\nweb2 "), "{hosts}");
    let roster = std::fs::read_dir(broker.folder().join("xdg/tester/homelab-deploy/roster")).unwrap();
    let kept: String = roster.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect();
    assert!(kept.contains("web2"), "{kept}");
}

#[test]
fn nobody_is_told_until_somebody_comes() {
    let broker = Broker::start();
    let mut watch = Running::start(&mut watch(&broker, &[]));
    watch.says("no host answered; is a listener running");
    let _host = HostBuilder::new(&broker, "web1", "test", "web").start();
    watch.says("web1  idle");
    watch.interrupt();
    assert_eq!(watch.ended(130).out.lines().count(), 2);
}

#[test]
fn a_lost_link_is_told_and_its_return_and_no_host_is_blamed_for_it() {
    let mut broker = Broker::start();
    let presence = ["--presence-interval", "1"];
    let mut host = HostBuilder::new(&broker, "web1", "test", "web").args(&presence).start();
    let mut lines = Running::start(&mut watch(&broker, &[]));
    lines.says("web1  idle");
    let mut objects = Running::start(&mut watch(&broker, &["--output", "json"]));
    objects.tells(|value| value["host"]["name"] == "web1");
    broker.stop();
    lines.says("note: not connected: the connection was lost; trying again");
    objects.tells(|value| {
        value["event"] == "note" && value["value"].as_str().unwrap().contains("not connected")
    });
    // Longer than a host may be silent: what must not come in that time has no event to wait for.
    let lost = Instant::now();
    eventually("a long silence", || (lost.elapsed() > Duration::from_millis(4500)).then_some(()));
    broker.restart();
    lines.says("note: connected again; every host was asked");
    objects.tells(|value| value["event"] == "note" && value["value"].as_str().unwrap().contains("again"));
    host.logged("connected");
    run(operator(&broker, "tester").args(["hold", "web1", "--reason", "bisect"]), 0);
    lines.says("web1  held");
    for watch in [lines, objects] {
        watch.interrupt();
        let ended = watch.ended(130);
        assert!(!ended.out.contains("stale") && !ended.out.contains("offline"), "{ended}");
    }
}

#[test]
fn a_reader_that_goes_away_ends_it_with_0_also_where_nothing_changes() {
    let broker = Broker::start();
    let _host = HostBuilder::new(&broker, "web1", "test", "web").start();
    let mut child = watch(&broker, &[]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    assert!(line.ends_with("web1  idle\n"), "{line}");
    drop(out);
    let status = eventually("the end of the watch", || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
}

#[test]
fn on_a_terminal_the_table_is_drawn_anew_where_it_stands() {
    let broker = Broker::start();
    let (_host, gate) = held(&broker, "web1", "web");
    let _other = HostBuilder::new(&broker, "db1", "test", "db").start();
    let mut terminal = Terminal::start(&watch(&broker, &[]));
    terminal.line(&["db1 ", " idle "]);
    ticks(&mut terminal, "web1 ");
    let deploy = Running::start(operator(&broker, "admin").args(["deploy", "web1"]));
    terminal.line(&["web1 ", " build "]);
    gate.pass();
    deploy.ended(0);
    terminal.line(&["web1 ", " idle ", "master"]);
    run(operator(&broker, "admin").args(["hold", "web1", "--reason", "bisect"]), 0);
    terminal.line(&["web1 ", " held ", "master"]);
    terminal.shows("note: web1: held: bisect (admin@");
    run(operator(&broker, "admin").args(["release", "web1"]), 0);
    terminal.hides("note: web1");
    terminal.types("\u{3}");
    let screen = terminal.ended();
    assert_eq!(screen.code, 130, "{}", screen.text);
    let shown: Vec<_> = screen.text.lines().filter(|line| !line.trim().is_empty()).collect();
    // One table, and nothing of those before it.
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
    let broker = Broker::start();
    let _hosts = [
        ("db1", "test", "db"),
        ("ns1", "prod", "dns"),
        ("ns2", "prod", "dns"),
        ("web1", "test", "web"),
        ("web2", "test", "web"),
    ]
    .map(|(name, tier, role)| HostBuilder::new(&broker, name, tier, role).start());
    let mut terminal = Terminal::sized(&watch(&broker, &[]), 100, 5);
    terminal.shows("and 3 lines more: enlarge the terminal");
    let head = terminal.line(&["HOST", "TIER", "SEEN"]);
    assert!(terminal.lines()[0].starts_with("HOST"), "{:?}", terminal.lines());
    // Ages tick, and all stays in its place.
    ticks(&mut terminal, "ns1 ");
    assert_eq!(terminal.lines()[0], head);
    terminal.resize(100, 12);
    terminal.line(&["web2 ", " idle "]);
    terminal.hides("lines more");
    assert_eq!(terminal.lines().iter().filter(|line| line.starts_with("HOST")).count(), 1);
    terminal.resize(40, 24);
    terminal.until("a table of 40 columns", |screen| {
        let lines = lines(screen);
        lines.iter().any(|line| line.starts_with("HOST") && line.trim_end().chars().count() <= 40)
    });
    terminal.types("\u{3}");
    assert_eq!(terminal.ended().code, 130);
}

#[test]
fn a_key_that_the_server_does_not_know_ends_it_at_once() {
    let broker = Broker::start();
    let refused = run(operator(&broker, "stranger").args(["hosts", "--watch"]), 5);
    refused.complains(&["refused the key", "add its public key to the server's authorization"]);
}

#[test]
fn it_goes_with_neither_forget_nor_outdated() {
    for other in [&["--forget", "web1"][..], &["--outdated"]] {
        let refused = run(nowhere().args(["hosts", "--watch"]).args(other), 2);
        refused.complains(&["--watch", other[0], "cannot be used with"]);
    }
}
