//! `reboot`: one host after the other, and only hosts that need it.

use crate::common::{CommandOutput, NatsServer, RunningCommand, operator, run};
use crate::fake_hosts::{Behavior, FakeHost, FakeHosts};
use serde_json::{Value, json};
use std::process::Command;

fn reboot(nats: &NatsServer, args: &[&str]) -> Command {
    let mut command = operator(nats, "everything");
    command.args(["reboot", "--output", "json"]).args(args);
    command
}

fn hosts(how: Behavior) -> Vec<FakeHost> {
    let member = |name, role, needed: Value| FakeHost::new(name, role, how).with("reboot_needed", needed);
    vec![
        member("web1", "web", json!(true)),
        member("web2", "web", json!(false)),
        member("db1", "db", json!(true)),
    ]
}

fn results(ended: &CommandOutput) -> Vec<String> {
    let result = ended.json().pop().unwrap();
    let hosts = result["value"]["hosts"].as_array().unwrap().iter();
    hosts
        .map(|host| format!("{} {}", host["host"].as_str().unwrap(), host["result"].as_str().unwrap()))
        .collect()
}

#[test]
fn the_next_host_reboots_once_the_previous_one_is_back() {
    let nats = NatsServer::start();
    let fake_hosts = FakeHosts::start(&nats, hosts(Behavior::Waits));
    let running = RunningCommand::start(&mut reboot(&nats, &["web1", "web2"]));
    for host in ["web1", "web2"] {
        let (asked, request) = fake_hosts.request();
        assert_eq!((asked.as_str(), &request["action"]), (host, &json!("reboot")));
        assert_eq!(fake_hosts.requested_hosts(), Vec::<String>::new());
        fake_hosts.release();
    }
    assert_eq!(results(&running.wait_for_exit(0)), ["web1 completed", "web2 completed"]);
}

#[test]
fn needed_reboots_only_hosts_that_need_it() {
    let nats = NatsServer::start();
    let fake_hosts = FakeHosts::start(&nats, hosts(Behavior::Completes));
    assert_eq!(results(&run(&mut reboot(&nats, &["--needed"]), 0)), ["db1 completed", "web1 completed"]);
    assert_eq!(fake_hosts.requested_hosts(), ["db1", "web1"]);
    run(&mut reboot(&nats, &["--needed", "--tier", "test", "--role", "web"]), 0);
    assert_eq!(fake_hosts.requested_hosts(), ["web1"]);
    run(&mut reboot(&nats, &["--all", "--tier", "test", "--batch", "2"]), 0);
    assert_eq!(fake_hosts.requested_hosts(), ["db1", "web1", "web2"]);

    let none = run(&mut reboot(&nats, &["web2", "--needed"]), 0).json();
    assert_eq!(none[0], json!({"event": "note", "value": "no host needs a reboot"}));
    assert_eq!((&none[1]["exit"], &none[1]["value"]["hosts"]), (&json!(0), &json!([])));
    assert_eq!(fake_hosts.requested_hosts(), Vec::<String>::new());
    let shown = run(operator(&nats, "everything").args(["reboot", "web2", "--needed"]), 0);
    assert_eq!(shown.stdout, "no host needs a reboot\n");
}

#[test]
fn offline_hosts_are_named_because_their_need_is_unknown() {
    let nats = NatsServer::start();
    let fake_hosts = FakeHosts::start(&nats, hosts(Behavior::Completes));
    run(operator(&nats, "everything").arg("hosts"), 0);
    drop(fake_hosts);
    let away = run(&mut reboot(&nats, &["--needed"]), 3);
    away.assert_stderr(&["no host reports that it needs a reboot; no answer from db1, web1, web2"]);

    let fake_hosts = FakeHosts::start(&nats, hosts(Behavior::Completes).into_iter().take(1).collect());
    assert_eq!(
        results(&run(&mut reboot(&nats, &["--needed"]), 3)),
        ["web1 completed", "db1 silent", "web2 silent"]
    );
    assert_eq!(results(&run(&mut reboot(&nats, &["--needed", "--skip-offline"]), 0)), ["web1 completed"]);
    assert_eq!(fake_hosts.requested_hosts(), ["web1", "web1"]);
}

#[test]
fn a_host_that_does_not_come_back_stops_the_rest() {
    let nats = NatsServer::start();
    let mut members = hosts(Behavior::Completes);
    members[0].behavior = Behavior::Fails;
    let fake_hosts = FakeHosts::start(&nats, members);
    let stopped = run(&mut reboot(&nats, &["--all", "--tier", "test", "--order", "host"]), 1);
    assert_eq!(fake_hosts.requested_hosts(), ["db1", "web1"]);
    let rest = stopped.json().into_iter().find(|line| line["event"] == "resume_command").unwrap();
    assert_eq!(rest["value"], "homelab-deploy reboot web2 --order host");
}

#[test]
fn a_reboot_of_a_confirmed_tier_needs_confirmation() {
    let nats = NatsServer::start();
    let answer = FakeHost::new("ns1", "dns", Behavior::Completes).with("tier", "prod");
    let subjects = json!(["deploy.prod.ns1"]);
    let _fake_hosts = FakeHosts::start(&nats, vec![answer.with("deploy_subjects", subjects)]);
    run(&mut reboot(&nats, &["ns1"]), 2)
        .assert_stderr(&["this reboots hosts of prod, which must be confirmed: add --yes"]);
}
