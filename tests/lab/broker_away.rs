//! The broker away during build: completed. Away in verify and back in time: completed; away for longer: rolled back, and
//! told later.

use crate::harness::Lab;
use serde_json::json;

#[test]
fn a_broker_that_was_away_refuses_connections_and_finds_its_hosts_again() {
    let mut lab = Lab::new();
    let host = lab.boot("web1");
    let before = lab.online("web1");
    lab.stop_broker();
    let refused = host.run(&lab.knock());
    assert!(refused.err.contains("Connection refused"), "{refused}");
    lab.start_broker();
    host.sh(&lab.knock());
    assert_eq!(lab.online("web1")["instance"], before["instance"]);
    let report = lab.request("web1", "again", &json!({"action": "test"})).verdict();
    assert_eq!(report["status"], "completed", "{report}");
}
