//! One frame as text, and where there is no terminal.

use crate::common::{Broker, HostBuilder, Running, operator, run};
use crate::stage::{console, held, waits_in};

#[test]
fn a_snapshot_is_one_frame_with_every_host_and_no_larger_than_asked_for() {
    let broker = Broker::start();
    let (_host, _gate) = held(&broker, "web1", &waits_in(&["build"]));
    let _other = HostBuilder::new(&broker, "ns1", "prod", "dns").start();
    let mut command = operator(&broker, "admin");
    let mut deploy = Running::start(command.args(["deploy", "web1"]));
    deploy.says("building nginx");
    for (size, columns, lines) in
        [("160x50", 160, 50), ("80x24", 80, 24), ("40x10", 40, 10), ("41x11", 41, 11)]
    {
        let frame = run(console(&broker, "admin").args(["--snapshot", "--size", size]), 0);
        assert_eq!(frame.out.lines().count(), lines, "{frame}");
        assert_eq!(frame.out.lines().map(|line| line.chars().count()).max(), Some(columns), "{frame}");
        for shown in [" homelab-deploy ", " 2 hosts ", "ns1 ", "● idle", "web1 ", "▶ build 1/3", "q quit"]
        {
            assert!(frame.out.contains(shown), "no {shown:?} in {frame}");
        }
        assert!(!frame.out.contains('\u{1b}') && frame.err.is_empty(), "{frame}");
    }
    // What nobody asked for is the usual size.
    let frame = run(console(&broker, "admin").arg("--snapshot"), 0);
    assert_eq!(frame.out.lines().count(), 24, "{frame}");
    assert!(frame.out.contains("┌─ ns1 "), "{frame}");
}

#[test]
fn a_snapshot_of_nobody_says_so() {
    let broker = Broker::start();
    let frame = run(console(&broker, "viewer").arg("--snapshot"), 0);
    assert!(frame.out.contains(" 0 hosts") && frame.out.contains("no host yet"), "{frame}");
}

#[test]
fn without_a_terminal_it_says_what_to_use_instead() {
    let broker = Broker::start();
    let refused = run(&mut console(&broker, "viewer"), 2);
    refused.complains(&[
        "the console needs a terminal",
        "`homelab-deploy tui --snapshot`",
        "`homelab-deploy hosts`",
    ]);
    assert_eq!(refused.out, "");
    let alone = run(console(&broker, "viewer").args(["--size", "80x24"]), 2);
    alone.complains(&["--snapshot"]);
}

#[test]
fn a_snapshot_without_a_server_is_an_error_that_names_it() {
    let mut broker = Broker::start();
    broker.stop();
    let refused = run(console(&broker, "viewer").arg("--snapshot"), 5);
    refused.complains(&[&format!("could not connect to {}", broker.url())]);
    assert_eq!(refused.out, "");
    broker.restart();
    let stranger = run(console(&broker, "stranger").arg("--snapshot"), 5);
    stranger.complains(&["refused the key"]);
}

#[test]
fn keys_are_pressed_before_a_snapshot_and_send_nothing() {
    let broker = Broker::start();
    let _host = HostBuilder::new(&broker, "web1", "test", "web").start();
    let ears = crate::common::Wire::connect(&broker, "everything");
    let sent = ears.listen("deploy.test.>");
    for (keys, shown) in [
        ("<enter>", "homelab-deploy ▸ fleet ▸ web1"),
        ("/role:web<enter>", "1 of 1 /role:web"),
        ("d<tab>x", "[ Deploy to 1 host ]"),
        ("d<shift-tab><enter>", "homelab-deploy ▸ fleet"),
    ] {
        let frame = run(console(&broker, "tester").args(["--snapshot", "--keys", keys]), 0);
        assert!(frame.out.contains(shown), "no {shown:?} in {frame}");
    }
    ears.round_trip();
    assert_eq!(sent.arrived(), []);
    run(console(&broker, "tester").args(["--snapshot", "--keys", "j<entr>"]), 2)
        .complains(&["no key <entr>"]);
    run(console(&broker, "tester").args(["--keys", "j"]), 2).complains(&["--snapshot"]);
}

#[test]
fn what_a_key_asks_of_a_host_is_there_before_the_next_key_and_in_the_frame() {
    let broker = Broker::start();
    let _host = HostBuilder::new(&broker, "web1", "test", "web").script("seq 1 100\necho the-end\n").start();
    run(operator(&broker, "admin").args(["deploy", "web1"]), 0);
    for (keys, shown) in [
        ("<enter>", &["History", "✓ completed"][..]),
        ("<enter>j", &["▸ "]),
        ("l", &["─ ended ─", "the-end"]),
        ("lg", &["─ ended, paused ─", " lines 1-"]),
        ("l/77<enter>", &["/77 ─", "match 1 of 1"]),
    ] {
        let frame = run(console(&broker, "admin").args(["--snapshot", "--keys", keys]), 0);
        for text in shown {
            assert!(frame.out.contains(text), "{keys}: no {text:?} in {frame}");
        }
    }
}
