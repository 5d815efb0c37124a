//! A malformed message ends the connection of a console; the console reconnects and keeps its state.

use crate::common::{HostBuilder, MalformedClient, NatsServer};
use crate::harness::{Console, LEAVE};
use std::time::Duration;

#[test]
fn the_console_stays_usable() {
    let nats = NatsServer::start();
    let start = |name| HostBuilder::new(&nats, name, "test", "web").start();
    let _web1 = start("web1");
    let mut console = Console::open(&nats, "tester");
    console.lists(&["web1"]);
    console.wait_until_subscribed();
    let mut malformed = MalformedClient::connect(&nats, "old1");
    malformed.publish("deploy.responses.x");
    console.shows("reconnected; querying all hosts");
    console.wait_until_subscribed();
    let storm = malformed.every(Duration::from_secs(1), &["deploy.responses.x"]);
    let _web2 = start("web2");
    console.lists(&["web1", "web2"]);
    console.select("web2");
    console.deploy();
    console.shows("switch master on web2: 1 completed");
    console.row("web2", &["● idle", "master"]);
    console.row("web1", &["● idle"]);
    console.hides("enter close");
    drop(storm);
    console.types(LEAVE);
    let screen = console.wait_for_exit();
    assert!(!screen.raw.contains("panicked"), "{}", screen.raw);
    crate::ansi::only_ours(&screen.raw);
    assert_eq!((screen.code, screen.left), (0, Vec::new()), "{}", screen.text);
}
