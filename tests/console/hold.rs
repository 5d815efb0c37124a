//! Holding hosts and releasing them from the command line of the console.

use crate::common::{Broker, Wire};
use crate::stage::{Console, ESC, console, held, waits_in};

#[test]
fn a_host_is_held_and_released_by_name_and_shows_it() {
    let broker = Broker::start();
    let _hosts = ["db1", "web1"].map(|name| held(&broker, name, "echo done"));
    let wire = Wire::connect(&broker, "everything");
    let sent = wire.listen("deploy.test.>");
    let mut console = Console::open(&broker, "tester");
    console.lists(&["db1", "web1"]);
    for (line, why) in [
        (":hold\r", "hold takes a host and then why"),
        (":hold wbe1 because\r", "no host \"wbe1\"; did you mean web1"),
        (":hold web1\r", "a hold must say why: the reason is empty"),
    ] {
        console.types(line);
        console.shows(why);
        console.types(ESC);
        console.hides(why);
    }
    wire.round_trip();
    assert_eq!(sent.arrived(), [], "nothing was sent");

    console.types(":hold we\tkernel bisect\r");
    console.shows("web1: completed: held until `homelab-deploy release web1`");
    console.row("web1", &["● held"]);
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

    // What is refused says why, and that is over with the hold.
    console.select("web1");
    console.deploy();
    console.row("web1", &["✗ rejected"]);
    console.shows("kernel bisect; `homelab-deploy release web1` ends that");
    console.types(":release web1\r");
    console.shows("web1: completed: released; it was held since 20");
    console.row("web1", &["● idle"]);
    console.deploy();
    console.shows("switch master on web1: 1 completed");
}

#[test]
fn a_host_is_held_while_its_job_runs() {
    let broker = Broker::start();
    let (_host, gate) = held(&broker, "web1", &waits_in(&["build"]));
    let mut console = Console::open(&broker, "tester");
    console.row("web1", &["● idle"]);
    console.deploy();
    console.row("web1", &["▶ build 1/3"]);
    console.types(":hold web1 after this one\r");
    console.shows("held: after this one (tester@");
    console.row("web1", &["▶ build 1/3"]);
    gate.pass();
    console.row("web1", &["● held"]);
}

#[test]
fn whoever_may_only_look_has_neither() {
    let broker = Broker::start();
    let _host = held(&broker, "web1", "echo done");
    let mut command = console(&broker, "tester");
    let mut console = Console::of(command.arg("--read-only"), 80, 24);
    console.row("web1", &["● idle"]);
    for line in [":hold web1 why\r", ":release web1\r"] {
        console.types(line);
        console.shows("this console may only look");
        console.types(ESC);
        console.hides("this console may only look");
    }
}
