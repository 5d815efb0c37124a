//! What a server may be told to do with its clients: narrow limits, and a change of the keys while everybody is there.

use crate::common::{Broker, Host, HostBuilder, operator, run};
use homelab_deploy::bus::Seed;
use rustix::process::Signal;
use std::fs;
use std::path::Path;

#[test]
fn the_limits_that_the_page_names_are_wide_enough() {
    let page = include_str!("../../docs/nats.md");
    for row in
        ["| `max_payload` | `64KB` |", "| `max_subscriptions` | 16 |", "| `max_control_line` | `4KB` |"]
    {
        assert!(page.contains(row), "{row}");
    }
    let limits = "max_payload: 64KB\nmax_subscriptions: 16\nmax_control_line: 4KB\n";
    let broker = Broker::configured("127.0.0.1", &std::env::temp_dir(), limits);
    let lines = "i=0; while [ $i -lt 4000 ]; do i=$((i+1)); echo \"line $i aü€😀 ................................\"; done";
    // A line that no message can hold with all that stands around it, and diagnostics of a failure.
    let wide = "head -c 65000 /dev/zero | tr '\\0' x; echo";
    let script = format!("{lines}; {wide}; exit 1");
    let host = HostBuilder::new(&broker, "web1", "test", "web").script(&script).start();
    run(operator(&broker, "tester").args(["deploy", "web1"]), 1);
    let log = run(operator(&broker, "tester").args(["logs", "web1"]), 0).out;
    let job = fs::read_dir(host.file("state/jobs")).unwrap().next().unwrap().unwrap();
    let kept = fs::read_to_string(job.path().join("log")).unwrap();
    assert!(log == kept, "{} bytes", log.len());
    assert!(log.len() > 250_000);
}

#[test]
fn a_key_is_exchanged_by_a_reload_and_nobody_else_notices() {
    let broker = Broker::start();
    let web1 = || HostBuilder::new(&broker, "web1", "test", "web");
    let refused = |host: &mut Host| {
        while host.logged("not connected")["reason"] != "the server refused the key" {}
    };
    let (mut old, mut other) = (web1().start(), HostBuilder::new(&broker, "db1", "test", "db").start());
    let mut new = web1().flag("--nkey-file", broker.key("stranger").to_str().unwrap()).launch();
    refused(&mut new);

    let key = |file: &Path| Seed::read(file).unwrap().public_key().to_owned();
    let file = broker.folder().join("nats.conf");
    let config = fs::read_to_string(&file).unwrap();
    fs::write(file, config.replace(&key(broker.key("web1")), &key(broker.key("stranger")))).unwrap();
    broker.signal(Signal::HUP);
    new.logged("connected");
    refused(&mut old);
    run(operator(&broker, "tester").args(["deploy", "db1"]), 0);
    other.terminate();
    let told: Vec<_> = other.rest_of_log().into_iter().map(|line| line["msg"].clone()).collect();
    assert!(!told.contains(&"not connected".into()), "{told:?}");
}
