//! The server goes away and comes back.

use crate::common::{Broker, HostBuilder};
use crate::stage::{BACK_TAB, Console, ESC};

#[test]
fn without_a_server_everything_known_stays_and_nothing_can_be_sent_until_it_is_back() {
    let mut broker = Broker::start();
    let _hosts = [("db1", "db"), ("web1", "web")]
        .map(|(name, role)| HostBuilder::new(&broker, name, "test", role).start());
    let mut console = Console::open(&broker, "tester");
    console.lists(&["db1", "web1"]);
    console.line(&["homelab-deploy", " ● "]);
    broker.stop();
    console.line(&["homelab-deploy", "○ "]);
    console.shows("what runs on the hosts goes on");
    console.line(&["homelab-deploy", ", again in "]);
    console.row("db1", &["● idle", "test", "db"]);
    console.row("web1", &["● idle", "test", "web"]);
    console.types("d");
    console.shows("─ deploy ─");
    console.types(&format!("{BACK_TAB}\r"));
    console.shows("not connected (");
    console.shows("); nothing was");
    console.types(ESC);
    console.hides("─ deploy ─");

    broker.restart();
    console.line(&["homelab-deploy", " ● "]);
    console.shows("connected again; asking every host");
    let _new = HostBuilder::new(&broker, "web2", "test", "web").start();
    console.lists(&["db1", "web1", "web2"]);
    console.select("web2");
    console.deploy();
    console.shows("switch master on web2: 1 completed");
    console.row("web2", &["master"]);
}

#[test]
fn it_starts_without_a_server_and_begins_once_there_is_one() {
    let mut broker = Broker::start();
    broker.stop();
    let mut console = Console::open(&broker, "tester");
    console.line(&["homelab-deploy", "○ "]);
    console.shows("no host yet");
    console.types("d");
    console.shows("there is no host yet");
    broker.restart();
    let _host = HostBuilder::new(&broker, "web1", "test", "web").start();
    console.row("web1", &["● idle"]);
    console.line(&["homelab-deploy", " ● "]);
}
