//! Deployments that others have begun.

use crate::common::{Broker, Running, operator};
use crate::stage::{Console, held, waits_in};

#[test]
fn a_deployment_of_another_operator_shows_with_its_issuer_phases_and_progress() {
    let broker = Broker::start();
    let (_host, gate) = held(&broker, "web1", &waits_in(&["build", "activate"]));
    let mut console = Console::open(&broker, "viewer");
    console.row("web1", &["● idle"]);
    let mut command = operator(&broker, "admin");
    let deploy = Running::start(command.args(["deploy", "web1", "--branch", "feature"]));
    // Whoever comes later sees the same.
    console.row("web1", &["▶ build 1/3", "33 %"]);
    let mut late = Console::open(&broker, "tester");
    for console in [&mut console, &mut late] {
        console.row("web1", &["▶ build 1/3", "33 %"]);
        console.line(&["─ web1 ▸ switch feature by admin@"]);
        console.line(&["✓ prepare ", "▶ build ", "· check", "· activate"]);
        console.shows("building nginx");
        console.line(&[" 1 host ", "▶ 1 deploying"]);
    }
    gate.pass();
    for console in [&mut console, &mut late] {
        console.row("web1", &["▶ activate"]);
        console.line(&["✓ build ", "▶ activate "]);
    }
    gate.pass();
    deploy.ended(0);
    for console in [&mut console, &mut late] {
        console.row("web1", &["● idle", "feature"]);
        console.shows("switch done");
        console.hides("deploying");
    }
}
