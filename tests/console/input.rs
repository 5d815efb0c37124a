//! More from the keyboard than any hand types.

use crate::common::{Broker, HostBuilder};
use crate::stage::Console;
use std::time::{Duration, Instant};

const PASTE: &str = "\u{1b}[200~";
const END: &str = "\u{1b}[201~";

#[test]
fn a_megabyte_that_is_pasted_into_the_filter_holds_nothing_up() {
    let broker = Broker::start();
    let _host = HostBuilder::new(&broker, "web1", "test", "web").start();
    let mut console = Console::open(&broker, "tester");
    console.row("web1", &["● idle"]);
    console.types("/");
    console.line(&["text, tier: role:"]);
    let pasted = "no such host\r\nq\u{3}\u{1b}[31m\u{7}\t".repeat(1024 * 1024 / 24);
    console.types(&format!("{PASTE}{pasted}{END}"));
    console.shows("no such hostq[31mno such host");
    console.shows("no host matches the filter");
    // Everything of it can be taken away at once.
    console.types("\u{15}web");
    console.line(&["hosts 1 of 1 /web "]);
    console.row("web1", &["● idle"]);
    console.wrote_only_its_own();
}

#[test]
fn what_is_pasted_where_nothing_is_typed_does_nothing() {
    let broker = Broker::start();
    let _host = HostBuilder::new(&broker, "web1", "test", "web").start();
    let mut console = Console::open(&broker, "tester");
    console.row("web1", &["● idle"]);
    console.types(&format!("{PASTE}dq\r\u{3}?{END}s"));
    console.line(&["sort: tier"]);
    console.row("web1", &["● idle"]);
    // In the form it goes into the text field alone.
    console.types("d");
    console.shows("─ deploy ─");
    console.types(&format!("{PASTE}q\r{END}\t\u{15}{PASTE}release/\r26.05\u{3}{END}"));
    console.line(&["revision    release/26.05"]);
}

#[test]
fn a_storm_of_keys_is_worked_off() {
    let broker = Broker::start();
    let _hosts = ["web1", "web2"].map(|name| HostBuilder::new(&broker, name, "test", "web").start());
    let mut console = Console::open(&broker, "tester");
    console.lists(&["web1", "web2"]);
    // Each round looks at the help, types into the filter and opens the form, and ends where it began.
    let round = "jjkGg\u{1b}[6~\u{1b}[5~sSsssssSaa??/x\u{8}y\u{17}\r?jjG\u{1b}[Ak?d\t\t\u{1b}[C\u{1b}[D\r\r";
    let keys = 39;
    console.types(&round.repeat(20_000 / keys + 1));
    console.types("/web2");
    console.lists(&["web2"]);
    console.line(&["hosts 1 of 2 /web2", "sort: host"]);
    console.wrote_only_its_own();
}

#[test]
fn a_key_is_answered_at_once() {
    let broker = Broker::start();
    let mut console = Console::open(&broker, "tester");
    console.listens();
    let begun = Instant::now();
    for _ in 0..20 {
        console.types("?");
        console.line(&[" ? close"]);
        console.types("?");
        console.line(&[" ? help"]);
    }
    // Far more than it takes, and far less than if each waited for the clock.
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
}
