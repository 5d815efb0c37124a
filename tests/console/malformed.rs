//! A malformed message ends the connection of a console, which stays as it is.

use crate::common::{Broker, HostBuilder, Malformed};
use crate::stage::{Console, LEAVE};
use std::time::Duration;

#[test]
fn it_stays_usable_and_its_screen_whole() {
    let broker = Broker::start();
    let start = |name| HostBuilder::new(&broker, name, "test", "web").start();
    let _web1 = start("web1");
    let mut console = Console::open(&broker, "tester");
    console.lists(&["web1"]);
    console.listens();
    let mut malformed = Malformed::connect(&broker, "old1");
    malformed.publish("deploy.responses.x");
    console.shows("connected again; asking every host");
    console.listens();
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
    let screen = console.ended();
    assert!(!screen.raw.contains("panicked"), "{}", screen.raw);
    crate::raw::only_ours(&screen.raw);
    assert_eq!((screen.code, screen.left), (0, Vec::new()), "{}", screen.text);
}
