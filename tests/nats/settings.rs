//! Server settings that affect clients: low limits, and a change of the keys while clients are connected.

use crate::common::{Host, HostBuilder, NatsServer, operator, run};
use homelab_deploy::nats::Nkey;
use rustix::process::Signal;
use std::fs;
use std::path::Path;

#[test]
fn the_documented_limits_are_high_enough() {
    let page = include_str!("../../docs/nats.md");
    for row in
        ["| `max_payload` | `64KB` |", "| `max_subscriptions` | 16 |", "| `max_control_line` | `4KB` |"]
    {
        assert!(page.contains(row), "{row}");
    }
    let limits = "max_payload: 64KB\nmax_subscriptions: 16\nmax_control_line: 4KB\n";
    let nats = NatsServer::configured("127.0.0.1", &std::env::temp_dir(), limits);
    let lines = "i=0; while [ $i -lt 4000 ]; do i=$((i+1)); echo \"line $i aü€😀 ................................\"; done";
    // A line that does not fit into a message with its JSON, and diagnostics of a failure.
    let wide = "head -c 65000 /dev/zero | tr '\\0' x; echo";
    let script = format!("{lines}; {wide}; exit 1");
    let host = HostBuilder::new(&nats, "web1", "test", "web").script(&script).start();
    run(operator(&nats, "tester").args(["deploy", "web1"]), 1);
    let log = run(operator(&nats, "tester").args(["logs", "web1"]), 0).stdout;
    let job = fs::read_dir(host.file("state/jobs")).unwrap().next().unwrap().unwrap();
    let stored = fs::read_to_string(job.path().join("log")).unwrap();
    assert!(log == stored, "{} bytes", log.len());
    assert!(log.len() > 250_000);
}

#[test]
fn a_reload_replaces_a_key_without_disturbing_other_clients() {
    let nats = NatsServer::start();
    let web1 = || HostBuilder::new(&nats, "web1", "test", "web");
    let refused = |host: &mut Host| {
        while host.wait_for_log("not connected")["reason"] != "the server refused the key" {}
    };
    let (mut old, mut other) = (web1().start(), HostBuilder::new(&nats, "db1", "test", "db").start());
    let mut new = web1().flag("--nkey-file", nats.key("stranger").to_str().unwrap()).launch();
    refused(&mut new);

    let key = |file: &Path| Nkey::read(file).unwrap().public_key().to_owned();
    let file = nats.dir().join("nats.conf");
    let config = fs::read_to_string(&file).unwrap();
    fs::write(file, config.replace(&key(nats.key("web1")), &key(nats.key("stranger")))).unwrap();
    nats.signal(Signal::HUP);
    new.wait_for_log("connected");
    refused(&mut old);
    run(operator(&nats, "tester").args(["deploy", "db1"]), 0);
    other.terminate();
    let messages: Vec<_> = other.rest_of_log().into_iter().map(|line| line["msg"].clone()).collect();
    assert!(!messages.contains(&"not connected".into()), "{messages:?}");
}
