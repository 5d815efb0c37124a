//! A server that hangs: the connection stays up, but nothing is answered.

use crate::common::{HostBuilder, NatsServer};
use crate::harness::{BACK_TAB, Console, ESC};
use rustix::process::Signal;
use std::fs;

#[test]
fn a_server_that_hangs_is_shown_and_what_is_sent_meanwhile_is_never_carried_out() {
    let nats = NatsServer::start();
    let host = HostBuilder::new(&nats, "web1", "test", "web").script("echo >> $DIR/calls").start();
    let mut console = Console::open(&nats, "tester");
    console.row("web1", &["● idle"]);
    console.types("d");
    console.shows("─ deploy ─");
    nats.suspend();
    // The console has not noticed yet, but it waits for an answer before it sends.
    console.types(&format!("{BACK_TAB}\r"));
    console.shows("the NATS server did not answer within 3 s; nothing was sent");
    console.types(ESC);
    console.line(&["homelab-deploy", "◐ no answer for "]);
    console.line(&["no answer for 0:", "state as of "]);
    console.row("web1", &["● idle"]);
    // Now it refuses at once.
    console.types("d");
    console.shows("─ deploy ─");
    console.types(&format!("{BACK_TAB}\r"));
    console.shows("the server has not answered for");
    console.types(ESC);
    nats.signal(Signal::CONT);
    console.hides("state as of ");
    console.line(&["homelab-deploy", " ● "]);
    console.deploy();
    console.shows("on web1: 1 completed");
    assert_eq!(fs::read_to_string(host.file("calls")).unwrap().lines().count(), 1);
}
