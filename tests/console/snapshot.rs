//! One frame as text, and the console without a terminal.

use crate::common::{HostBuilder, NatsServer, RunningCommand, Terminal, operator, run};
use crate::harness::{console, held, waits_in};

#[test]
fn a_snapshot_is_one_frame_of_the_requested_size() {
    let nats = NatsServer::start();
    let (_host, _gate) = held(&nats, "web1", &waits_in(&["build"]));
    let _other = HostBuilder::new(&nats, "ns1", "prod", "dns").start();
    let mut command = operator(&nats, "admin");
    let mut deploy = RunningCommand::start(command.args(["deploy", "web1"]));
    deploy.wait_for_line("building nginx");
    for (size, columns, lines) in
        [("160x50", 160, 50), ("80x24", 80, 24), ("40x10", 40, 10), ("41x11", 41, 11)]
    {
        let frame = run(console(&nats, "admin").args(["--snapshot", "--size", size]), 0);
        assert_eq!(frame.stdout.lines().count(), lines, "{frame}");
        assert_eq!(frame.stdout.lines().map(|line| line.chars().count()).max(), Some(columns), "{frame}");
        for shown in [" homelab-deploy ", " 2 hosts ", "ns1 ", "● idle", "web1 ", "▶ build 1/3", "q quit"]
        {
            assert!(frame.stdout.contains(shown), "no {shown:?} in {frame}");
        }
        assert!(!frame.stdout.contains('\u{1b}') && frame.stderr.is_empty(), "{frame}");
    }
    // The default size.
    let frame = run(console(&nats, "admin").arg("--snapshot"), 0);
    assert_eq!(frame.stdout.lines().count(), 24, "{frame}");
    assert!(frame.stdout.contains("┌─ web1 "), "{frame}");
}

#[test]
fn a_snapshot_on_a_terminal_has_colours_unless_no_color_is_set() {
    let nats = NatsServer::start();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").start();
    let written = |variables: &[(&str, &str)]| {
        let mut command = console(&nats, "viewer");
        command.arg("--snapshot").envs(variables.iter().copied());
        let screen = Terminal::sized(&command, 80, 24).wait_for_exit();
        assert_eq!(screen.code, 0, "{}", screen.text);
        assert!(screen.text.contains("● idle"), "{}", screen.text);
        screen.raw
    };
    let coloured = written(&[]);
    assert!(coloured.contains("\u{1b}[38;5;2m"), "{coloured:?}");
    let plain = written(&[("NO_COLOR", "1")]);
    assert!(!plain.contains('\u{1b}'), "{plain:?}");
}

#[test]
fn a_snapshot_without_hosts_explains_why() {
    let nats = NatsServer::start();
    let frame = run(console(&nats, "viewer").arg("--snapshot"), 0);
    assert!(frame.stdout.contains(" 0 hosts") && frame.stdout.contains("no hosts yet"), "{frame}");
}

#[test]
fn without_a_terminal_it_names_the_alternatives() {
    let nats = NatsServer::start();
    let refused = run(&mut console(&nats, "viewer"), 2);
    refused.assert_stderr(&[
        "the console needs a terminal",
        "`homelab-deploy tui --snapshot`",
        "`homelab-deploy hosts`",
    ]);
    assert_eq!(refused.stdout, "");
    let alone = run(console(&nats, "viewer").args(["--size", "80x24"]), 2);
    alone.assert_stderr(&["--snapshot"]);
}

#[test]
fn a_snapshot_without_a_server_is_an_error_that_names_it() {
    let mut nats = NatsServer::start();
    nats.stop();
    let refused = run(console(&nats, "viewer").arg("--snapshot"), 5);
    refused.assert_stderr(&[&format!("could not connect to {}", nats.url())]);
    assert_eq!(refused.stdout, "");
    nats.restart();
    let stranger = run(console(&nats, "stranger").arg("--snapshot"), 5);
    stranger.assert_stderr(&["refused the key"]);
}

#[test]
fn keys_are_pressed_before_a_snapshot_and_send_nothing() {
    let nats = NatsServer::start();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").start();
    let ears = crate::common::RawClient::connect(&nats, "everything");
    let sent = ears.subscribe("deploy.test.>");
    for (keys, shown) in [
        ("<enter>", "homelab-deploy ▸ fleet ▸ web1"),
        ("/role:web<enter>", "1 of 1 /role:web"),
        ("d<tab>x", "[ Deploy to 1 host ]"),
        ("d<shift-tab><enter>", "homelab-deploy ▸ fleet"),
    ] {
        let frame = run(console(&nats, "tester").args(["--snapshot", "--keys", keys]), 0);
        assert!(frame.stdout.contains(shown), "no {shown:?} in {frame}");
    }
    ears.round_trip();
    assert_eq!(sent.received(), []);
    run(console(&nats, "tester").args(["--snapshot", "--keys", "j<entr>"]), 2)
        .assert_stderr(&["unknown key <entr>"]);
    run(console(&nats, "tester").args(["--keys", "j"]), 2).assert_stderr(&["--snapshot"]);
}

#[test]
fn a_query_by_a_key_completes_before_the_next_key_and_the_frame() {
    let nats = NatsServer::start();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").script("seq 1 100\necho the-end\n").start();
    run(operator(&nats, "admin").args(["deploy", "web1"]), 0);
    for (keys, shown) in [
        ("<enter>", &["History", "✓ completed"][..]),
        ("<enter>j", &["▸ "]),
        ("l", &["─ ended ─", "the-end"]),
        ("lg", &["─ ended, paused ─", " lines 1-"]),
        ("l/77<enter>", &["/77 ─", "match 1 of 1"]),
    ] {
        let frame = run(console(&nats, "admin").args(["--snapshot", "--keys", keys]), 0);
        for text in shown {
            assert!(frame.stdout.contains(text), "{keys}: no {text:?} in {frame}");
        }
    }
}
