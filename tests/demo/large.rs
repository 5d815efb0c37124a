//! A demo with more hosts than start a listener at once.

use crate::session::DemoSession;
use serde_json::json;

#[test]
fn a_host_gets_its_listener_with_its_first_request() {
    let session = DemoSession::open(114);
    // The last host, with a failed health check in its history, as all such hosts.
    let before = session.host("web28");
    assert_eq!((&before["tier"], &before["revision"]), (&json!("prod"), &json!("main")), "{before}");
    let history = session.history("web28");
    assert_eq!(history[0]["action"], "switch");
    assert_eq!(history[0]["generation"], before["generation"], "{history:#?}");
    let log = session.run(&["logs", "web27"], 0).stdout;
    assert!(log.contains("nixos-system-web27-"), "{log}");

    session.run(&["deploy", "web28", "--branch", "main", "--yes"], 0);
    let after = session.host("web28");
    assert_eq!(after["commit"], json!(session.git(&["rev-parse", "main"])));
    assert_eq!(after["generation"], before["generation"].as_u64().unwrap() + 1);
    assert_eq!((&after["instance"], &after["public_key"]), (&before["instance"], &before["public_key"]));
    session.run(&["rollback", "web28", "--yes"], 0);
    assert_eq!(session.host("web28")["system"], before["system"]);
}

#[test]
fn all_hosts_of_a_group_are_deployed_to() {
    let session = DemoSession::open(110);
    let lines = session
        .run(
            &["deploy", "--tier", "prod", "--role", "dns", "--branch", "main", "--yes", "--output", "json"],
            0,
        )
        .json();
    let hosts = lines[lines.len() - 1]["value"]["hosts"].as_array().unwrap();
    assert_eq!(hosts.len(), 27, "{hosts:#?}");
}
