//! Rebooting: one host after the other, and only those that need it.

use crate::common::{Broker, Ended, Running, operator, run};
use crate::crowd::{Crowd, How, Member};
use serde_json::{Value, json};
use std::process::Command;

fn reboot(broker: &Broker, args: &[&str]) -> Command {
    let mut command = operator(broker, "everything");
    command.args(["reboot", "--output", "json"]).args(args);
    command
}

fn hosts(how: How) -> Vec<Member> {
    let member = |name, role, needed: Value| Member::new(name, role, how).with("reboot_needed", needed);
    vec![
        member("web1", "web", json!(true)),
        member("web2", "web", json!(false)),
        member("db1", "db", json!(true)),
    ]
}

fn told(ended: &Ended) -> Vec<String> {
    let result = ended.json().pop().unwrap();
    let hosts = result["value"]["hosts"].as_array().unwrap().iter();
    hosts
        .map(|host| format!("{} {}", host["host"].as_str().unwrap(), host["verdict"].as_str().unwrap()))
        .collect()
}

#[test]
fn the_next_host_goes_once_the_one_before_is_back() {
    let broker = Broker::start();
    let crowd = Crowd::start(&broker, hosts(How::Waits));
    let running = Running::start(&mut reboot(&broker, &["web1", "web2"]));
    for host in ["web1", "web2"] {
        let (asked, request) = crowd.request();
        assert_eq!((asked.as_str(), &request["action"]), (host, &json!("reboot")));
        assert_eq!(crowd.asked(), Vec::<String>::new());
        crowd.let_go();
    }
    assert_eq!(told(&running.ended(0)), ["web1 completed", "web2 completed"]);
}

#[test]
fn only_hosts_that_say_that_they_need_it_are_rebooted() {
    let broker = Broker::start();
    let crowd = Crowd::start(&broker, hosts(How::Completes));
    assert_eq!(told(&run(&mut reboot(&broker, &["--needed"]), 0)), ["db1 completed", "web1 completed"]);
    assert_eq!(crowd.asked(), ["db1", "web1"]);
    run(&mut reboot(&broker, &["--needed", "--tier", "test", "--role", "web"]), 0);
    assert_eq!(crowd.asked(), ["web1"]);
    run(&mut reboot(&broker, &["--all", "--tier", "test", "--batch", "2"]), 0);
    assert_eq!(crowd.asked(), ["db1", "web1", "web2"]);

    let none = run(&mut reboot(&broker, &["web2", "--needed"]), 0).json();
    assert_eq!(none[0], json!({"event": "note", "value": "no host needs a reboot"}));
    assert_eq!((&none[1]["exit"], &none[1]["value"]["hosts"]), (&json!(0), &json!([])));
    assert_eq!(crowd.asked(), Vec::<String>::new());
    let said = run(operator(&broker, "everything").args(["reboot", "web2", "--needed"]), 0);
    assert_eq!(said.out, "no host needs a reboot\n");
}

#[test]
fn of_hosts_that_are_away_nobody_knows_whether_they_need_it() {
    let broker = Broker::start();
    let crowd = Crowd::start(&broker, hosts(How::Completes));
    run(operator(&broker, "everything").arg("hosts"), 0);
    drop(crowd);
    let away = run(&mut reboot(&broker, &["--needed"]), 3);
    away.complains(&["no host says that it needs a reboot; not known of db1, web1, web2, silent"]);

    let crowd = Crowd::start(&broker, hosts(How::Completes).into_iter().take(1).collect());
    assert_eq!(
        told(&run(&mut reboot(&broker, &["--needed"]), 3)),
        ["web1 completed", "db1 silent", "web2 silent"]
    );
    assert_eq!(told(&run(&mut reboot(&broker, &["--needed", "--skip-offline"]), 0)), ["web1 completed"]);
    assert_eq!(crowd.asked(), ["web1", "web1"]);
}

#[test]
fn a_host_that_does_not_come_back_stops_the_rest() {
    let broker = Broker::start();
    let mut members = hosts(How::Completes);
    members[0].how = How::Fails;
    let crowd = Crowd::start(&broker, members);
    let stopped = run(&mut reboot(&broker, &["--all", "--tier", "test", "--order", "host"]), 1);
    assert_eq!(crowd.asked(), ["db1", "web1"]);
    let rest = stopped.json().into_iter().find(|line| line["event"] == "rest").unwrap();
    assert_eq!(rest["value"], "homelab-deploy reboot web2 --order host");
}

#[test]
fn a_tier_that_is_confirmed_wants_a_yes() {
    let broker = Broker::start();
    let answer = Member::new("ns1", "dns", How::Completes).with("tier", "prod");
    let subjects = json!(["deploy.prod.ns1"]);
    let _crowd = Crowd::start(&broker, vec![answer.with("deploy_subjects", subjects)]);
    run(&mut reboot(&broker, &["ns1"]), 2)
        .complains(&["this reboots hosts of prod, which must be confirmed: add --yes"]);
}
