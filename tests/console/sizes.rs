//! The terminal changes its size, or another program writes to it.

use crate::common::{HostBuilder, NatsServer, RawClient, base_presence};
use crate::harness::{Console, console, held, waits_in};

#[test]
fn the_screen_fits_every_size_of_the_terminal() {
    let nats = NatsServer::start();
    let (_held, gate) = held(&nats, "web1", &waits_in(&["build"]));
    let _idle = HostBuilder::new(&nats, "db1", "test", "db").start();
    let mut console = Console::of(&console(&nats, "tester"), 80, 24);
    console.lists(&["db1", "web1"]);
    console.select("web1");
    console.deploy();
    console.row("web1", &["▶ build 1/3"]);

    console.resize(40, 10);
    console.line(&["└", "─┘"]);
    console.row("web1", &["▸", "▶ build 1/3"]);
    console.row("db1", &["● idle"]);
    console.line(&[" d deploy ", "? help ", " q quit"]);
    fills(&mut console, 40);

    console.resize(30, 5);
    console.shows("needs at least 40×10");
    console.resize(1, 1);
    console.until("nothing but a mark", |screen| screen.contents() == "…");
    // Messages in the meantime are not lost.
    gate.pass();
    console.resize(160, 50);
    console.row("web1", &["▸", "● idle", "master"]);
    console.lists(&["db1", "web1"]);
    console.line(&[
        "HOST",
        "TIER",
        "ROLE",
        "STATE",
        "PHASES",
        "WHAT TO KNOW",
        "RUNS",
        "GEN",
        "DEPLOYED",
        "SEEN",
    ]);
    console.shows("switch done");
    console.shows("switch master on web1: 1 completed");
    fills(&mut console, 160);

    console.resize(80, 24);
    console.types("?");
    console.shows("─ keys ");
    console.resize(60, 12);
    console.line(&["─ keys ", "j k scroll"]);
    console.types("q");
    console.hides("─ keys ");
    console.lists(&["db1", "web1"]);
}

/// Waits until every box is as wide as the screen.
fn fills(console: &mut Console, columns: usize) {
    console.until("boxes as wide as the screen", |screen| {
        let lines = crate::common::lines(screen);
        let boxed: Vec<_> = lines.iter().filter(|line| line.starts_with(['┌', '│', '└'])).collect();
        let whole = |line: &&String| line.chars().count() == columns && line.ends_with(['┐', '│', '┃', '┘']);
        boxed.len() > 5 && boxed.iter().all(whole)
    });
}

#[test]
fn the_selected_host_stays_in_view() {
    let nats = NatsServer::start();
    let wire = RawClient::connect(&nats, "everything");
    let mut console = Console::open(&nats, "tester");
    console.wait_until_subscribed();
    for n in 1..=30 {
        wire.publish("deploy.responses.presence", &base_presence(&format!("host{n}"), "test", "web"));
    }
    console.line(&[" 30 hosts "]);
    console.types("gjjjjjjjj");
    console.row("host9", &["▸"]);
    console.row("host11", &[]);
    console.resize(80, 10);
    console.lists(&["host6", "host7", "host8", "host9"]);
    console.row("host9", &["▸"]);
    // A page is the number of visible rows.
    console.types("\u{1b}[6~");
    console.row("host13", &["▸"]);
    console.resize(80, 60);
    console.row("host30", &[]);
    console.row("host13", &["▸"]);
}

#[test]
fn keys_that_come_with_a_new_size_are_not_lost() {
    let nats = NatsServer::start();
    let mut console = Console::open(&nats, "tester");
    console.shows("no hosts yet");
    for round in 0..20 {
        console.resize(90 + round, 24);
        console.types("?");
        console.line(&[" ? close"]);
        console.types("?");
        console.resize(60 + round, 30);
        console.line(&[" ? help"]);
    }
}

#[test]
fn a_redraw_removes_foreign_output() {
    let nats = NatsServer::start();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").start();
    let mut console = Console::open(&nats, "tester");
    console.row("web1", &["● idle"]);
    console.scribble(
        "\u{1b}[HBroadcast message\r\nfrom root\r\n\n\nThe system goes down\u{1b}[10;1H\u{1b}[31;7mnow",
    );
    console.shows("Broadcast message");
    console.types("\u{c}");
    for written in ["Broadcast", "root", "goes down", "now"] {
        console.hides(written);
    }
    console.line(&[" homelab-deploy ▸ fleet "]);
    console.line(&[" 1 host "]);
    console.row("web1", &["▸", "● idle"]);
    fills(&mut console, 80);
    let plain = |screen: &vt100::Screen| screen.cell(9, 0).unwrap().fgcolor() == vt100::Color::Default;
    console.until("the frame in its own colour", plain);
}
