//! Hosts that need attention, each with the reason in its row.

use crate::common::{Broker, Peer, base_answer};
use crate::stage::Console;
use serde_json::{Value, json};

/// A host that says this of itself.
fn peer(broker: &Broker, name: &str, field: &str, value: Value) -> Peer {
    let mut answer = base_answer(name, "test", "web");
    answer[field] = value;
    Peer::start(broker, answer, |_| Vec::new())
}

#[test]
fn f_shows_failed_units_and_reboots_with_their_reasons() {
    let broker = Broker::start();
    let _peers = [
        peer(&broker, "web1", "failed_units", json!(["smartd.service"])),
        peer(&broker, "web2", "reboot_needed", json!(true)),
        peer(&broker, "web3", "failed_units", json!([])),
    ];
    let mut console = Console::open(&broker, "tester");
    console.lists(&["web1", "web2", "web3"]);
    console.line(&[" 3 hosts ", "! 1 failed unit ", "↻ 1 reboot"]);
    console.line(&["f faults"]);
    console.types("f");
    console.lists(&["web1", "web2"]);
    console.row("web1", &["! unit failed", " smartd "]);
    console.row("web2", &["↻ reboot"]);
}
