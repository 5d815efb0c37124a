//! A new system that cuts the host off from the broker, whose listener cannot start, or whose listener's key is refused:
//! rolled back by itself, and reported once connected again.

use crate::harness::Lab;
use serde_json::json;

#[test]
fn a_host_without_network_is_silent_until_it_has_it_again() {
    let lab = Lab::new();
    let [host, other] = lab.boot_all(["web1", "web2"]);
    host.cut();
    assert_ne!(host.run(&lab.knock()).code, 0);
    assert_eq!(lab.ask("web1", &json!({})), None);
    other.sh(&lab.knock());
    host.restore();
    host.sh(&lab.knock());
    lab.online("web1");
}
