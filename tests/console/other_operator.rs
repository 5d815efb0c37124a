//! Deployments of other operators.

use crate::common::{NatsServer, RunningCommand, operator};
use crate::harness::{Console, held, waits_in};

#[test]
fn a_deployment_of_another_operator_shows_with_its_issuer_phases_and_progress() {
    let nats = NatsServer::start();
    let (_host, gate) = held(&nats, "web1", &waits_in(&["build", "activate"]));
    let mut console = Console::open(&nats, "viewer");
    console.row("web1", &["● idle"]);
    let mut command = operator(&nats, "admin");
    let deploy = RunningCommand::start(command.args(["deploy", "web1", "--branch", "feature"]));
    // A console that starts later shows the same.
    console.row("web1", &["▶ build 1/3", "nginx"]);
    let mut late = Console::open(&nats, "tester");
    for console in [&mut console, &mut late] {
        console.row("web1", &["▶ build 1/3", "nginx"]);
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
    deploy.wait_for_exit(0);
    for console in [&mut console, &mut late] {
        console.row("web1", &["● idle", "feature"]);
        console.shows("switch done");
        console.hides("deploying");
    }
}
