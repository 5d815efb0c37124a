//! The NATS server stops and starts again.

use crate::common::{HostBuilder, NatsServer};
use crate::harness::{BACK_TAB, Console, ESC};

#[test]
fn without_a_server_the_fleet_stays_visible_and_nothing_can_be_sent() {
    let mut nats = NatsServer::start();
    let _hosts = [("db1", "db"), ("web1", "web")]
        .map(|(name, role)| HostBuilder::new(&nats, name, "test", role).start());
    let mut console = Console::open(&nats, "tester");
    console.lists(&["db1", "web1"]);
    console.line(&["homelab-deploy", " ● "]);
    nats.stop();
    console.line(&["homelab-deploy", "○ "]);
    console.shows("jobs on the hosts continue");
    console.line(&["homelab-deploy", ", retrying in "]);
    console.row("db1", &["● idle", "test", "db"]);
    console.row("web1", &["● idle", "test", "web"]);
    console.types("d");
    console.shows("─ deploy ─");
    console.types(&format!("{BACK_TAB}\r"));
    console.shows("not connected (");
    console.shows("); nothing was");
    console.types(ESC);
    console.hides("─ deploy ─");

    nats.restart();
    console.line(&["homelab-deploy", " ● "]);
    console.shows("reconnected; querying all hosts");
    let _new = HostBuilder::new(&nats, "web2", "test", "web").start();
    console.lists(&["db1", "web1", "web2"]);
    console.select("web2");
    console.deploy();
    console.shows("switch master on web2: 1 completed");
    console.row("web2", &["master"]);
}

#[test]
fn the_console_starts_without_a_server_and_connects_later() {
    let mut nats = NatsServer::start();
    nats.stop();
    let mut console = Console::open(&nats, "tester");
    console.line(&["homelab-deploy", "○ "]);
    console.shows("not connected: the hosts appear once the server answers");
    console.types("d");
    console.shows("─ no hosts yet ─");
    nats.restart();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").start();
    console.row("web1", &["● idle"]);
    console.line(&["homelab-deploy", " ● "]);
}
