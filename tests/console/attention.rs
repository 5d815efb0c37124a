//! Hosts that need attention, each with the reason in its row.

use crate::common::{FakeListener, NatsServer, base_presence};
use crate::harness::Console;
use serde_json::{Value, json};

/// A host that reports this field about itself.
fn peer(nats: &NatsServer, name: &str, field: &str, value: Value) -> FakeListener {
    let mut answer = base_presence(name, "test", "web");
    answer[field] = value;
    FakeListener::start(nats, answer, |_| Vec::new())
}

#[test]
fn f_shows_failed_units_and_reboots_with_their_reasons() {
    let nats = NatsServer::start();
    let _peers = [
        peer(&nats, "web1", "failed_units", json!(["smartd.service"])),
        peer(&nats, "web2", "reboot_needed", json!(true)),
        peer(&nats, "web3", "failed_units", json!([])),
    ];
    let mut console = Console::open(&nats, "tester");
    console.lists(&["web1", "web2", "web3"]);
    console.line(&[" 3 hosts ", "! 1 failed unit ", "↻ 1 needs reboot"]);
    console.line(&["f faults"]);
    console.types("f");
    console.lists(&["web1", "web2"]);
    console.row("web1", &["! unit failed", " smartd.service failed "]);
    console.row("web2", &["↻ needs reboot"]);
}
