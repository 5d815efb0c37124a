//! Cancelling jobs.

use crate::common::{NatsServer, RawClient, RunningCommand, Signer, operator};
use crate::harness::{Console, ESC, held, waits_in};

const QUESTION: &str = "Cancel the job on web1?";

#[test]
fn a_job_is_cancelled_only_on_yes() {
    let nats = NatsServer::start();
    let (_host, _gate) = held(&nats, "web1", &waits_in(&["build"]));
    let wire = RawClient::connect(&nats, "everything");
    let sent = wire.subscribe("deploy.test.>");
    let mut console = Console::open(&nats, "tester");
    console.row("web1", &["● idle"]);
    console.types("c");
    console.shows("no job runs on web1; nothing was sent");
    console.deploy();
    let job = sent.next().body["id"].clone();
    console.row("web1", &["▶ build 1/3"]);
    // "No" is selected at first.
    for no in ["\r", "n", ESC, "\t\t\r"] {
        console.types("c");
        console.shows(QUESTION);
        console.shows("[ No ]  [ Yes ]");
        console.types(no);
        console.hides(QUESTION);
    }
    console.types("c");
    console.shows(QUESTION);
    console.types("y");
    console.row("web1", &["● idle", "cancelled: "]);
    console.shows("cancelled: stopped in build; nothing was changed");
    console.shows("switch master on web1: 1 cancelled (web1)");
    let cancel = sent.next();
    assert_eq!((&cancel.body["action"], &cancel.body["job"]), (&"cancel".into(), &job));
    let signed = Signer::of("tester").headers(&cancel.subject, &cancel.payload);
    assert_eq!(cancel.headers, signed, "the cancel is signed like every request");
    wire.round_trip();
    assert_eq!(sent.received(), [], "a second cancel was sent");
}

#[test]
fn a_running_activation_is_not_cancelled_and_that_is_shown() {
    let nats = NatsServer::start();
    let (_host, gate) = held(&nats, "web1", &waits_in(&["activate"]));
    let mut console = Console::open(&nats, "tester");
    let deploy = RunningCommand::start(operator(&nats, "admin").args(["deploy", "web1"]));
    console.row("web1", &["▶ activate"]);
    console.types("c");
    console.shows(QUESTION);
    console.types("\u{1b}[C\r");
    console.shows("─ cancel on web1 ");
    console.shows("web1: rejected (too late): job ");
    console.shows("in activate; an activation that has started is not interrupted");
    // Keys go to the dialog until it is closed.
    console.types("d");
    console.types("\r");
    console.hides("too late");
    console.row("web1", &["▶ activate"]);
    gate.pass();
    deploy.wait_for_exit(0);
    console.row("web1", &["● idle"]);
}

#[test]
fn a_denied_cancel_names_the_subject() {
    let nats = NatsServer::start();
    let (_host, _gate) = held(&nats, "web1", &waits_in(&["build"]));
    let _deploy = RunningCommand::start(operator(&nats, "admin").args(["deploy", "web1"]));
    let mut console = Console::open(&nats, "viewer");
    console.row("web1", &["▶ build"]);
    console.types("cy");
    console.shows("the server refused deploy.test.web1");
    console.types("\r");
    console.hides("refused");
    console.row("web1", &["▶ build"]);
}
