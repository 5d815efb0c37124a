//! Large amounts of keyboard input.

use crate::common::{HostBuilder, NatsServer};
use crate::harness::Console;
use std::time::{Duration, Instant};

const PASTE: &str = "\u{1b}[200~";
const END: &str = "\u{1b}[201~";

#[test]
fn a_pasted_megabyte_does_not_block_the_console() {
    let nats = NatsServer::start();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").start();
    let mut console = Console::open(&nats, "tester");
    console.row("web1", &["● idle"]);
    console.types("/");
    console.line(&["text, tier: role:"]);
    let pasted = "no such host\r\nq\u{3}\u{1b}[31m\u{7}\t".repeat(1024 * 1024 / 24);
    console.types(&format!("{PASTE}{pasted}{END}"));
    console.shows("no such hostq[31mno such host");
    console.shows("no host matches the filter");
    // One key deletes all of it.
    console.types("\u{15}web");
    console.line(&["hosts 1 of 1 /web "]);
    console.row("web1", &["● idle"]);
    console.wrote_only_its_own();
}

#[test]
fn a_paste_without_an_input_field_does_nothing() {
    let nats = NatsServer::start();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").start();
    let mut console = Console::open(&nats, "tester");
    console.row("web1", &["● idle"]);
    console.types(&format!("{PASTE}dq\r\u{3}?{END}s"));
    console.line(&["sort: host"]);
    console.row("web1", &["● idle"]);
    // In the form, only the text field receives it.
    console.types("d");
    console.shows("─ deploy ─");
    console.types(&format!("{PASTE}q\r{END}\t\u{15}{PASTE}release/\r26.05\u{3}{END}"));
    console.line(&["revision    release/26.05"]);
}

#[test]
fn many_keys_at_once_are_all_handled() {
    let nats = NatsServer::start();
    let _hosts = ["web1", "web2"].map(|name| HostBuilder::new(&nats, name, "test", "web").start());
    let mut console = Console::open(&nats, "tester");
    console.lists(&["web1", "web2"]);
    // Each round opens the help, the filter and the form, and returns to the start. There are no escape sequences: the
    // escape key is all that is read of one if the rest arrives later.
    let round = "jjkGgsSssssssssssSaa??/x\u{8}y\u{17}\r?jjGkk?d\t\t\t\r";
    // More than the terminal buffers at once. Nothing is drawn before all of it is handled, so it is not too much for the
    // deadline either.
    for _ in 0..5 {
        console.types(&round.repeat(80));
        console.types("/web2");
        console.lists(&["web2"]);
        console.line(&["hosts 1 of 2 /web2", "what needs attention last"]);
        console.types("\u{15}\r");
        // Each round ends with the order reversed.
        console.lists(&["web2", "web1"]);
    }
    console.wrote_only_its_own();
}

#[test]
fn a_key_takes_effect_at_once() {
    let nats = NatsServer::start();
    let mut console = Console::open(&nats, "tester");
    console.wait_until_subscribed();
    let started_at = Instant::now();
    for _ in 0..20 {
        console.types("?");
        console.line(&[" ? close"]);
        console.types("?");
        console.line(&[" ? help"]);
    }
    // Much more than needed, but much less than if each key waited for the clock.
    assert!(started_at.elapsed() < Duration::from_secs(8), "{:?}", started_at.elapsed());
}
