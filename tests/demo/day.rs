//! The day of the demo goes on while its operator looks.

use crate::common::lines;
use crate::stage::Stage;

#[test]
fn another_operator_deploys_and_a_host_loses_its_power() {
    let mut stage = Stage::open(12);
    stage.console.line(&["│", "ci2", "▶ build", "/40 "]);
    let status = stage.run(&["status", "ci2"], 0).out;
    assert!(status.contains("alice@laptop"), "{status}");
    stage.console.until("the end of its build", |screen| {
        lines(screen).iter().any(|line| line.contains(" ci2 ") && !line.contains("▶ build"))
    });
    stage.console.line(&["│", "ci2", "main 2541e4a"]);
    assert_eq!(stage.history("ci2")[0]["issuer"], "alice@laptop");
    // Those that a small demo has are left to its operator.
    for host in ["cache1", "ci1", "dns1", "web1", "cache2"] {
        stage.console.line(&["│", host, "● idle"]);
    }
    stage.console.line(&["│", "ci3", "◐ stale"]);
}

#[test]
fn another_operator_has_the_builder_build() {
    let mut stage = Stage::open(4);
    stage.console.types("B");
    stage.console.line(&["all", "fleet", "9f1763a", "✓ 1 built", "▶ 3 building"]);
    stage.console.types("\r");
    stage.console.line(&["cache1", "✓ done", "/nix/store/"]);
    stage.console.line(&["✓ 4 built"]);
}
