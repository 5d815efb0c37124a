//! Holding and releasing hosts on the command line of the console.

use crate::common::{NatsServer, RawClient};
use crate::harness::{Console, ESC, console, held, waits_in};

#[test]
fn a_host_is_held_and_released_by_name_and_shows_it() {
    let nats = NatsServer::start();
    let _hosts = ["db1", "web1"].map(|name| held(&nats, name, "echo done"));
    let wire = RawClient::connect(&nats, "everything");
    let sent = wire.subscribe("deploy.test.>");
    let mut console = Console::open(&nats, "tester");
    console.sort_by_name();
    console.lists(&["db1", "web1"]);
    for (line, why) in [
        (":hold\r", "hold takes a host and a reason"),
        (":hold wbe1 because\r", "unknown host \"wbe1\"; did you mean web1"),
        (":hold web1\r", "the hold reason is empty: give a reason of at most 300 characters"),
    ] {
        console.types(line);
        console.shows(why);
        console.types(ESC);
        console.hides(why);
    }
    wire.round_trip();
    assert_eq!(sent.received(), [], "nothing was sent");

    console.types(":hold we\tkernel bisect\r");
    console.shows("web1: held until `:release web1`");
    console.row("web1", &["■ held"]);
    console.row("db1", &["● idle"]);
    let request = sent.next();
    assert_eq!(request.subject, "deploy.test.web1");
    assert_eq!((&request.body["action"], &request.body["reason"]), (&"hold".into(), &"kernel bisect".into()));
    console.types(":filter state:held\r");
    console.lists(&["web1"]);
    console.types(":host web1\r");
    console.shows("held: kernel bisect (tester@");
    console.types("q");
    console.lists(&["web1"]);
    console.types(":filter\r");
    console.lists(&["db1", "web1"]);

    // A rejection shows the reason, until the host is released.
    console.select("web1");
    console.deploy();
    console.row("web1", &["✗ rejected"]);
    console.shows("kernel bisect; release it with `homelab-deploy release web1`");
    console.types(":release web1\r");
    console.shows("web1: released; was held since 20");
    console.row("web1", &["● idle"]);
    console.deploy();
    console.shows("switch master on web1: 1 completed");
}

#[test]
fn a_host_is_held_while_its_job_runs() {
    let nats = NatsServer::start();
    let (_host, gate) = held(&nats, "web1", &waits_in(&["build"]));
    let mut console = Console::open(&nats, "tester");
    console.row("web1", &["● idle"]);
    console.deploy();
    console.row("web1", &["▶ build 1/3"]);
    console.types(":hold web1 after this one\r");
    console.shows("held: after this one (tester@");
    console.row("web1", &["▶ build 1/3"]);
    gate.pass();
    console.row("web1", &["■ held"]);
}

#[test]
fn a_read_only_console_has_no_hold_and_release() {
    let nats = NatsServer::start();
    let _host = held(&nats, "web1", "echo done");
    let mut command = console(&nats, "tester");
    let mut console = Console::of(command.arg("--read-only"), 80, 24);
    console.row("web1", &["● idle"]);
    for line in [":hold web1 why\r", ":release web1\r"] {
        console.types(line);
        console.shows("the console is read-only");
        console.types(ESC);
        console.hides("the console is read-only");
    }
}
