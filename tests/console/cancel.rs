//! Stopping what runs.

use crate::common::{Broker, Running, Signer, Wire, operator};
use crate::stage::{Console, ESC, held, waits_in};

const QUESTION: &str = "Cancel the job on web1?";

#[test]
fn a_job_is_cancelled_on_yes_and_on_nothing_else() {
    let broker = Broker::start();
    let (_host, _gate) = held(&broker, "web1", &waits_in(&["build"]));
    let wire = Wire::connect(&broker, "everything");
    let sent = wire.listen("deploy.test.>");
    let mut console = Console::open(&broker, "tester");
    console.row("web1", &["● idle"]);
    console.types("c");
    console.shows("no job runs on web1; nothing was sent");
    console.deploy();
    let job = sent.next().body["id"].clone();
    console.row("web1", &["▶ build 1/3"]);
    // What enter takes is no.
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
    console.row("web1", &["✗ build", "cancelled"]);
    console.shows("cancelled: stopped in build; nothing was changed");
    console.shows("switch master on web1: 1 failed (web1)");
    let cancel = sent.next();
    assert_eq!((&cancel.body["action"], &cancel.body["job"]), (&"cancel".into(), &job));
    let signed = Signer::of("tester").headers(&cancel.subject, &cancel.payload);
    assert_eq!(cancel.headers, signed, "as everything that is sent");
    wire.round_trip();
    assert_eq!(sent.arrived(), [], "one cancel, and no other");
}

#[test]
fn what_activates_is_not_cancelled_and_that_is_told() {
    let broker = Broker::start();
    let (_host, gate) = held(&broker, "web1", &waits_in(&["activate"]));
    let mut console = Console::open(&broker, "tester");
    let deploy = Running::start(operator(&broker, "admin").args(["deploy", "web1"]));
    console.row("web1", &["▶ activate"]);
    console.types("c");
    console.shows(QUESTION);
    console.types("\u{1b}[C\r");
    console.shows("─ cancel on web1 ");
    console.shows("web1: rejected (too_late): job ");
    console.shows("in activate, and what has begun to activate is not interrupted");
    // Keys go to the box until it is closed.
    console.types("d");
    console.types("\r");
    console.hides("too_late");
    console.row("web1", &["▶ activate"]);
    gate.pass();
    deploy.ended(0);
    console.row("web1", &["● idle"]);
}

#[test]
fn whoever_may_not_cancel_is_told_which_subject_was_refused() {
    let broker = Broker::start();
    let (_host, _gate) = held(&broker, "web1", &waits_in(&["build"]));
    let _deploy = Running::start(operator(&broker, "admin").args(["deploy", "web1"]));
    let mut console = Console::open(&broker, "viewer");
    console.row("web1", &["▶ build"]);
    console.types("cy");
    console.shows("the server refused deploy.test.web1");
    console.types("\r");
    console.hides("refused");
    console.row("web1", &["▶ build"]);
}
