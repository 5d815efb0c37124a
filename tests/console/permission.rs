//! What is asked before hosts that matter are touched, and what the server refuses.

use crate::common::{Broker, HostBuilder, Wire};
use crate::stage::{BACK_TAB, Console};

#[test]
fn a_tier_that_matters_must_be_typed_before_anything_is_sent() {
    let broker = Broker::start();
    let _host = HostBuilder::new(&broker, "ns1", "prod", "dns").start();
    let wire = Wire::connect(&broker, "everything");
    let sent = wire.listen("deploy.prod.>");
    let mut console = Console::open(&broker, "admin");
    console.row("ns1", &["● idle"]);
    console.types("d");
    console.shows("type prod");
    console.types(&format!("{BACK_TAB}\r"));
    console.shows("type prod to deploy there; nothing was sent");
    // The cursor is where it must be typed.
    console.types("pro");
    console.line(&["confirm", "  pro "]);
    console.types("\t\u{1b}[C\r");
    console.shows("type prod to deploy there; nothing was sent");
    console.types("d");
    console.line(&["confirm", "  prod "]);
    console.hides("nothing was sent");
    console.types("\r");
    // Enter alone leads to where nothing is sent.
    console.types("\u{1b}[C\r");
    console.hides("─ deploy ─");
    console.row("ns1", &["● idle", "master"]);
    console.shows("switch master on ns1: 1 completed");
    assert_eq!(sent.next().subject, "deploy.prod.ns1");
    wire.round_trip();
    assert_eq!(sent.arrived(), [], "sent once");
}

#[test]
fn whoever_may_not_deploy_there_is_told_which_subject_was_refused() {
    let broker = Broker::start();
    let _prod = HostBuilder::new(&broker, "ns1", "prod", "dns").start();
    let _test = HostBuilder::new(&broker, "web1", "test", "web").start();
    let mut console = Console::open(&broker, "tester");
    console.lists(&["ns1", "web1"]);
    console.select("ns1");
    console.types(&format!("d{BACK_TAB}\rprod\r\u{1b}[C\r"));
    console.shows("─ switch master on ns1 ");
    console.shows("the server refused deploy.prod.ns1");
    console.types("\r");
    console.hides("refused");
    console.row("ns1", &["● idle"]);
    // What is permitted goes on to work.
    console.select("web1");
    console.deploy();
    console.shows("switch master on web1: 1 completed");
}

#[test]
fn a_key_that_the_server_does_not_know_is_told_where_the_link_stands() {
    let broker = Broker::start();
    let mut console = Console::open(&broker, "stranger");
    console.line(&["homelab-deploy", "○ the server refused the key"]);
    console.types("q");
    assert_eq!(console.ended().code, 0);
}
