//! The limit of new hosts that one query adds to the inventory, and removal of silent hosts.

use crate::common::{DEADLINE, HostBuilder, NatsServer, RawClient, base_presence, operator, run};
use crate::inventory::{inventory, inventory_file};
use serde_json::json;
use std::fs;
use std::thread;

/// Answers each query in the names of this many hosts. Every second reply is in reverse order, because a query ends
/// with the last expected host.
fn fake_hosts(nats: &NatsServer, hosts: usize) {
    let wire = RawClient::connect(nats, "everything");
    let asks = wire.subscribe("deploy.discover");
    thread::spawn(move || {
        let mut names: Vec<_> = (0..hosts).map(|n| format!("f{n}")).collect();
        while let Some(ask) = asks.within(DEADLINE) {
            let to = ask.body["reply_to"].as_str().unwrap_or_default().to_owned();
            for name in &names {
                wire.publish(&to, &base_presence(name, "prod", "dns"));
            }
            names.reverse();
        }
    });
}

#[test]
fn at_most_fifty_new_hosts_are_added_unless_all_are_accepted() {
    let nats = NatsServer::start();
    let mut host = HostBuilder::new(&nats, "web1", "test", "web").start();
    run(operator(&nats, "viewer").arg("hosts"), 0);
    // The query waits for the known host.
    host.kill();
    fake_hosts(&nats, 120);
    let shown = run(operator(&nats, "viewer").arg("hosts"), 0);
    assert!(
        shown.stdout.contains(
            "warning: 70 more new hosts answered than one query adds to the inventory; if they are yours, add them with \
             `homelab-deploy hosts --accept-new`, otherwise find the host that answers under their names"
        ),
        "{shown}"
    );
    assert_eq!(inventory(&nats, "viewer").as_object().unwrap().len(), 51);
    run(operator(&nats, "viewer").args(["hosts", "--accept-new"]), 0);
    assert_eq!(inventory(&nats, "viewer").as_object().unwrap().len(), 121);
}

#[test]
fn a_first_query_adds_every_host() {
    let nats = NatsServer::start();
    fake_hosts(&nats, 120);
    run(operator(&nats, "viewer").arg("hosts"), 0);
    assert_eq!(inventory(&nats, "viewer").as_object().unwrap().len(), 120);
}

#[test]
fn long_unseen_hosts_are_forgotten_together() {
    let nats = NatsServer::start();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").start();
    run(operator(&nats, "viewer").arg("hosts"), 0);
    let mut known = inventory(&nats, "viewer");
    for name in ["old1", "old2"] {
        known[name] = known["web1"].clone();
        known[name]["last_seen"] = json!("2020-01-01T00:00:00Z");
    }
    fs::write(inventory_file(&nats, "viewer"), known.to_string()).unwrap();
    let forget =
        |args: &[&str], exit| run(operator(&nats, "viewer").args(["hosts", "--forget"]).args(args), exit);
    assert_eq!(
        forget(&["--silent-for", "1d"], 0).stdout,
        "forgot 2 hosts until they answer again: old1, old2\n"
    );
    assert_eq!(inventory(&nats, "viewer").as_object().unwrap().len(), 1);
    assert_eq!(
        forget(&["--silent-for", "1d"], 0).stdout,
        "no host was silent for that long; nothing was forgotten\n"
    );
    forget(&[], 2).assert_stderr(&["--forget needs either a host or --silent-for"]);
    forget(&["web1", "--silent-for", "1d"], 2)
        .assert_stderr(&["--forget needs either a host or --silent-for"]);
    for wrong in ["1", "soon", "0s", "-1d"] {
        let flag = format!("--silent-for={wrong}");
        forget(&[&flag], 2).assert_stderr(&["invalid time", "such as 1d, 12h or 30m"]);
    }
}
