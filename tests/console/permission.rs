//! Tiers that need a confirmation, and permission violations.

use crate::common::{HostBuilder, NatsServer, RawClient};
use crate::harness::{BACK_TAB, Console};

#[test]
fn a_tier_must_be_typed_before_anything_is_sent() {
    let nats = NatsServer::start();
    let _host = HostBuilder::new(&nats, "ns1", "prod", "dns").start();
    let wire = RawClient::connect(&nats, "everything");
    let sent = wire.subscribe("deploy.prod.>");
    let mut console = Console::open(&nats, "admin");
    console.row("ns1", &["● idle"]);
    console.types("d");
    console.shows("type prod");
    console.types(&format!("{BACK_TAB}\r"));
    console.shows("type prod to deploy there; nothing was sent");
    // The focus is in the field for the confirmation.
    console.types("pro");
    console.line(&["confirm", "  pro "]);
    console.types("\t\u{1b}[C\r");
    console.shows("type prod to deploy there; nothing was sent");
    console.types("d");
    console.line(&["confirm", "  prod "]);
    console.hides("nothing was sent");
    console.types("\r");
    console.hides("─ deploy ─");
    console.row("ns1", &["● idle", "master"]);
    console.shows("switch master on ns1: 1 completed");
    assert_eq!(sent.next().subject, "deploy.prod.ns1");
    wire.round_trip();
    assert_eq!(sent.received(), [], "the request was sent more than once");
}

#[test]
fn a_denied_deployment_names_the_subject() {
    let nats = NatsServer::start();
    let _prod = HostBuilder::new(&nats, "ns1", "prod", "dns").start();
    let _test = HostBuilder::new(&nats, "web1", "test", "web").start();
    let mut console = Console::open(&nats, "tester");
    console.lists(&["ns1", "web1"]);
    console.select("ns1");
    console.types("dprod\r");
    console.shows("─ switch master on ns1 ");
    console.shows("the server refused deploy.prod.ns1");
    console.types("\r");
    console.hides("refused");
    console.row("ns1", &["● idle"]);
    // Permitted requests still work.
    console.select("web1");
    console.deploy();
    console.shows("switch master on web1: 1 completed");
}

#[test]
fn an_unknown_key_is_reported_in_the_header() {
    let nats = NatsServer::start();
    let mut console = Console::open(&nats, "stranger");
    console.line(&["homelab-deploy", "○ the server refused the key"]);
    console.types("q");
    assert_eq!(console.wait_for_exit().code, 0);
}
