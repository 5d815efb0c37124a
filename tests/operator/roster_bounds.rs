//! How many new hosts one query adds to the roster, and how the silent ones are forgotten.

use crate::common::{Broker, DEADLINE, HostBuilder, Wire, base_answer, operator, run};
use crate::roster::{roster, roster_file};
use serde_json::json;
use std::fs;
use std::thread;

/// Answers each query in the names of so many hosts, each second one in the reverse order: a query ends with the last host that
/// is expected.
fn crowd(broker: &Broker, hosts: usize) {
    let wire = Wire::connect(broker, "everything");
    let asks = wire.listen("deploy.discover");
    thread::spawn(move || {
        let mut names: Vec<_> = (0..hosts).map(|n| format!("f{n}")).collect();
        while let Some(ask) = asks.within(DEADLINE) {
            let to = ask.body["reply_to"].as_str().unwrap_or_default().to_owned();
            for name in &names {
                wire.say(&to, &base_answer(name, "prod", "dns"));
            }
            names.reverse();
        }
    });
}

#[test]
fn of_many_new_hosts_at_once_fifty_are_added_unless_the_operator_accepts_all() {
    let broker = Broker::start();
    let mut host = HostBuilder::new(&broker, "web1", "test", "web").start();
    run(operator(&broker, "viewer").arg("hosts"), 0);
    // It is waited for.
    host.kill();
    crowd(&broker, 120);
    let shown = run(operator(&broker, "viewer").arg("hosts"), 0);
    assert!(
        shown.out.contains(
            "warning: 70 more new hosts answered than one query adds to the roster; if they are yours, add them with \
             `homelab-deploy hosts --accept-new`, else look for a host that answers in their names"
        ),
        "{shown}"
    );
    assert_eq!(roster(&broker, "viewer").as_object().unwrap().len(), 51);
    run(operator(&broker, "viewer").args(["hosts", "--accept-new"]), 0);
    assert_eq!(roster(&broker, "viewer").as_object().unwrap().len(), 121);
}

#[test]
fn a_first_query_adds_every_host() {
    let broker = Broker::start();
    crowd(&broker, 120);
    run(operator(&broker, "viewer").arg("hosts"), 0);
    assert_eq!(roster(&broker, "viewer").as_object().unwrap().len(), 120);
}

#[test]
fn hosts_that_were_silent_for_long_are_forgotten_together() {
    let broker = Broker::start();
    let _host = HostBuilder::new(&broker, "web1", "test", "web").start();
    run(operator(&broker, "viewer").arg("hosts"), 0);
    let mut known = roster(&broker, "viewer");
    for name in ["old1", "old2"] {
        known[name] = known["web1"].clone();
        known[name]["seen"] = json!("2020-01-01T00:00:00Z");
    }
    fs::write(roster_file(&broker, "viewer"), known.to_string()).unwrap();
    let forget =
        |args: &[&str], exit| run(operator(&broker, "viewer").args(["hosts", "--forget"]).args(args), exit);
    assert_eq!(
        forget(&["--silent-for", "1d"], 0).out,
        "2 hosts are forgotten until they answer again: old1, old2\n"
    );
    assert_eq!(roster(&broker, "viewer").as_object().unwrap().len(), 1);
    assert_eq!(
        forget(&["--silent-for", "1d"], 0).out,
        "no host was silent for that long; nothing was forgotten\n"
    );
    forget(&[], 2).complains(&["--forget needs either a host or --silent-for"]);
    forget(&["web1", "--silent-for", "1d"], 2).complains(&["--forget needs either a host or --silent-for"]);
    for wrong in ["1", "soon", "0s", "-1d"] {
        let flag = format!("--silent-for={wrong}");
        forget(&[&flag], 2).complains(&["invalid time", "such as 1d, 12h or 30m"]);
    }
}
