//! Switching to another context on the command line.

use crate::common::{HostBuilder, NatsServer};
use crate::harness::{Console, ESC, console};
use std::fs;

#[test]
fn another_context_has_other_hosts_and_a_broken_one_is_not_entered() {
    let (home, lab) = (NatsServer::start(), NatsServer::start());
    let _home = HostBuilder::new(&home, "web1", "test", "web").start();
    let _lab = HostBuilder::new(&lab, "db1", "test", "db").start();
    let directory = tempfile::tempdir().unwrap();
    let context = |name: &str, nats: &NatsServer, key: &str| {
        format!("[contexts.{name}]\nnats_url = {:?}\nnkey_file = {key:?}\n", nats.url())
    };
    let key = |nats: &NatsServer| nats.key("tester").display().to_string();
    let text = [
        "context = \"home\"\n".to_owned(),
        context("home", &home, &key(&home)),
        context("lab", &lab, &key(&lab)),
        context("broken", &lab, "/missing.nkey"),
    ];
    let file = directory.path().join("homelab-deploy/config.toml");
    fs::create_dir(file.parent().unwrap()).unwrap();
    fs::write(&file, text.concat()).unwrap();
    let mut command = console(&home, "tester");
    command.env("XDG_CONFIG_HOME", directory.path());
    command.env_remove("HOMELAB_DEPLOY_NATS_URL").env_remove("HOMELAB_DEPLOY_NKEY_FILE");

    let mut console = Console::of(&command, 80, 24);
    console.row("web1", &["● idle"]);
    console.shows("homelab-deploy ▸ home ▸ fleet");
    console.types("ss:context la\t\r");
    console.row("db1", &["● idle"]);
    console.shows("homelab-deploy ▸ lab ▸ fleet");
    console.lists(&["db1"]);
    console.types(":context broken\r");
    console.shows("Could not open context broken");
    console.shows("/missing.nkey");
    // The message wraps at a position that depends on the length of the path.
    console.shows("config.toml:10:13: could");
    console.types("\r");
    console.row("db1", &["● idle"]);
    console.types(":context nowhere\r");
    console.shows("unknown context \"nowhere\": expected one of broken, home, lab");
    console.types(ESC);
    console.shows("? help");
    console.types(":context home\r");
    console.row("web1", &["● idle"]);
    // Each context has its own view state.
    console.shows("sort: tier");
    console.wrote_only_its_own();
}
