//! Activity in the background of the demo.

use crate::common::lines;
use crate::session::DemoSession;

#[test]
fn another_operator_deploys_and_a_host_loses_its_power() {
    let mut session = DemoSession::open(12);
    session.console.line(&["│", "ci2", "▶ build", "/40 "]);
    let status = session.run(&["status", "ci2"], 0).stdout;
    assert!(status.contains("alice@laptop"), "{status}");
    session.console.until("the end of its build", |screen| {
        lines(screen).iter().any(|line| line.contains(" ci2 ") && !line.contains("▶ build"))
    });
    session.console.line(&["│", "ci2", "2541e4a"]);
    assert_eq!(session.history("ci2")[0]["issuer"], "alice@laptop");
    // The other operator leaves the hosts of a small demo alone.
    for host in ["cache1", "ci1", "dns1", "web1"] {
        session.console.line(&["│", host, "● idle"]);
    }
    session.console.line(&["│", "cache2", "✗ rolled back"]);
    session.console.line(&["│", "ci3", "◐ stale"]);
}

#[test]
fn another_operator_requests_builds() {
    let mut session = DemoSession::open(4);
    session.console.types("B");
    session.console.line(&["all", "fleet", "9f1763a", "✓ 1 built", "▶ 3 building"]);
    session.console.types("\r");
    session.console.line(&["cache1", "✓ done", "/nix/store/"]);
    session.console.line(&["✓ 4 built"]);
}
