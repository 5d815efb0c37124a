//! The screens beside the table, in a terminal: timeline, heat map, events, logs and changes of several hosts.

use crate::common::{HostBuilder, NatsServer, RawClient};
use crate::harness::{Console, ESC, console, held, waits_in};
use std::os::unix::fs::PermissionsExt;

#[test]
fn the_screens_show_a_deployment_on_a_small_screen() {
    walk(80, 24);
}

#[test]
fn the_screens_show_a_deployment_on_a_large_screen() {
    walk(160, 50);
}

/// Deploys to two hosts, one of which fails, and visits each screen.
fn walk(columns: u16, rows: u16) {
    let nats = NatsServer::start();
    let (_web1, web_gate) = held(&nats, "web1", &format!("{}echo 'web is new'", waits_in(&["build"])));
    let bad = format!("{}echo 'cannot build'\nexit 1", waits_in(&["build"]));
    let (_db1, db_gate) = held(&nats, "db1", &bad);
    let _ns1 = HostBuilder::new(&nats, "ns1", "prod", "dns").start();
    let mut console = Console::of(&console(&nats, "admin"), columns, rows);
    console.lists(&["db1", "ns1", "web1"]);
    console.types("T");
    console.shows("no deployments yet");
    console.types(":mark db1 web1\r");
    console.line(&["✓ 2 marked"]);
    console.deploy();
    console.hides("─ deploy ─");
    console.types(ESC);
    console.shows("HOST");
    // The timeline while both build, and with the cause of the failure.
    console.types(":timeline\r");
    console.line(&["▶ db1 ", "build 1/3"]);
    console.line(&["▶ web1 ", "build 1/3"]);
    console.shows("▒ build");
    web_gate.pass();
    db_gate.pass();
    console.line(&["✗ db1 ", "failed"]);
    console.line(&["✓ web1 ", "completed "]);
    console.shows("─ why 1 cause ─");
    console.types("+-0");
    console.shows("per column");
    // The logs of both.
    console.types("L");
    console.shows("log of 2 hosts");
    console.line(&["web1 │web is new"]);
    console.line(&["db1  │cannot build"]);
    console.types("/cannot|nothing\r");
    console.hides("web is new");
    console.types(ESC);
    console.line(&["web1 │web is new"]);
    console.types("q");
    console.shows("─ why 1 cause ─");
    console.types("q");
    // The heat map.
    console.types("H");
    console.shows("colour by state commit age space");
    console.line(&["■ 2 idle", "■ 1 failed"]);
    console.types("C");
    console.shows("unknown");
    console.types("H");
    // The events.
    console.types("E");
    console.shows("─ events ─");
    console.line(&["db1 ", "✗ switch master", "failed: build failed"]);
    console.line(&["web1 ", "✓ switch master", "completed in "]);
    console.types("q");
    console.lists(&["db1", "ns1", "web1"]);
    // One list of changes.
    console.types("vD");
    console.shows("changes");
    console.line(&["1 host ", "failed: "]);
    console.types("qq");
    console.lists(&["db1", "ns1", "web1"]);
    console.types("q");
    let screen = console.wait_for_exit();
    assert_eq!((screen.code, screen.left), (0, Vec::new()));
}

#[test]
fn escape_and_a_key_in_one_read_are_both_handled() {
    let nats = NatsServer::start();
    let _hosts = ["web1", "web2"].map(|name| HostBuilder::new(&nats, name, "test", "web").start());
    let mut console = Console::open(&nats, "tester");
    console.lists(&["web1", "web2"]);
    console.types("/web2");
    console.lists(&["web2"]);
    // The terminal gets all of this in one write.
    console.types(&format!("{ESC}:sort tier\r"));
    console.line(&["sort: tier"]);
    console.lists(&["web1", "web2"]);
    console.wrote_only_its_own();
}

#[test]
fn the_events_are_there_the_next_time() {
    let nats = NatsServer::start();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").start();
    let state = tempfile::tempdir().unwrap();
    let command = || {
        let mut command = console(&nats, "admin");
        command.env("XDG_STATE_HOME", state.path());
        command
    };
    let wire = RawClient::connect(&nats, "everything");
    let _sent = wire.subscribe("deploy.test.*");
    let mut first = Console::of(&command(), 100, 30);
    first.lists(&["web1"]);
    first.types(":hold web1 kernel bisect\r");
    first.row("web1", &["held"]);
    first.types("E");
    first.line(&["web1 ", "held", "kernel bisect"]);
    first.types("qq");
    assert_eq!(first.wait_for_exit().code, 0);
    let directory = state.path().join("homelab-deploy/events");
    let files: Vec<_> = std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    let [file] = &files[..] else { panic!("{files:?}") };
    assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    let mut second = Console::of(&command(), 100, 30);
    second.lists(&["web1"]);
    second.types("E");
    second.line(&["you last looked"]);
    second.line(&["web1 ", "held", "kernel bisect"]);
    second.types("qq");
    assert_eq!(second.wait_for_exit().code, 0);
}
