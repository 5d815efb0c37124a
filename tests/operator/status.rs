//! How the running or last job of each host stands.

use crate::common::{Broker, Ended, Gate, HostBuilder, Peer, Running, WAIT, base_answer, operator, run};
use serde_json::{Value, json};

/// The row of a host, its blanks squeezed.
fn row(ended: &Ended, host: &str) -> String {
    let row = ended.out.lines().find(|line| line.split_whitespace().next() == Some(host));
    row.unwrap_or_else(|| panic!("{ended}")).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Fails where the text does not hold these, in this order.
fn in_order(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        let at = rest.find(part).unwrap_or_else(|| panic!("no {part:?} in {rest:?} of {text:?}"));
        rest = &rest[at + part.len()..];
    }
}

#[test]
fn people_read_what_runs_and_what_ran_last() {
    let broker = Broker::start();
    let tell = r#"tell() { echo "@homelab-deploy $1"; }"#;
    let held = format!("{tell}\ntell '{{\"phase\":\"build\",\"done\":1,\"expected\":3}}'\n{WAIT}");
    let builds = HostBuilder::new(&broker, "web1", "test", "web").script(&held).start();
    let gate = Gate::of(&builds);
    let commit = r#"tell '{"phase":"activate","commit":"0123456789abcdef","generation":42}'"#;
    let good = HostBuilder::new(&broker, "ns1", "prod", "dns").script(&format!("{tell}\n{commit}"));
    let _good = good.start();
    let _bad = HostBuilder::new(&broker, "db1", "test", "db").script("echo no space; exit 3").start();
    let _idle = HostBuilder::new(&broker, "ns2", "prod", "dns").start();
    let mut deploy = Running::start(operator(&broker, "admin").args(["deploy", "web1", "--branch", "v2"]));
    deploy.says("build 1/3");
    run(operator(&broker, "admin").args(["deploy", "ns1", "--yes", "--action", "boot"]), 0);
    run(operator(&broker, "admin").args(["deploy", "db1"]), 1);

    let shown = run(operator(&broker, "viewer").arg("status"), 0);
    assert_eq!(row(&shown, "HOST"), "HOST STATE ACTION REVISION BY LAST NEWS TIME PHASES");
    in_order(
        &row(&shown, "ns1"),
        &["ns1 completed boot master 0123456 admin@", " prepare ", " s, activate ", " s"],
    );
    in_order(&row(&shown, "web1"), &["web1 build 1/3 switch v2 admin@", " prepare ", ", build running "]);
    in_order(
        &row(&shown, "db1"),
        &["db1 failed: activation_failed switch master admin@", "activate failed "],
    );
    assert_eq!(row(&shown, "ns2"), "ns2 no job yet");
    in_order(&shown.out, &["\n\ndb1: activation_failed: ", "\n  | no space\n"]);
    assert_eq!(shown.err, "");
    gate.pass();
    deploy.ended(0);
}

#[test]
fn only_the_hosts_that_are_named_are_shown() {
    let broker = Broker::start();
    let _hosts = ["web1", "web2", "db1"].map(|name| HostBuilder::new(&broker, name, "test", name).start());
    let hosts = |args: &[&str]| -> Vec<String> {
        let mut command = operator(&broker, "viewer");
        command.env("HOMELAB_DEPLOY_ALIAS_SITE", "web2").env("HOMELAB_DEPLOY_ALIAS_ALL", "deploy.test.all");
        let shown = run(command.arg("status").args(args), 0);
        shown.out.lines().skip(1).map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    };
    assert_eq!(hosts(&["web1", "db1", "web1"]), ["db1", "web1"]);
    assert_eq!(hosts(&["site"]), ["web2"]);
    assert_eq!(hosts(&["all"]), ["db1", "web1", "web2"]);
    assert_eq!(hosts(&["deploy.test.role.web1", "web2"]), ["web1", "web2"]);
    let unknown = run(operator(&broker, "viewer").args(["status", "web1", "wbe2"]), 2);
    unknown.complains(&["no host wbe2 answers or is known (did you mean web2", "`homelab-deploy hosts`"]);
    run(operator(&broker, "viewer").args(["status", "deploy.>"]), 2).complains(&["has wildcards"]);
}

#[test]
fn hosts_that_do_not_answer_are_named_as_exit_3() {
    let broker = Broker::start();
    let gone = HostBuilder::new(&broker, "web1", "test", "web").start();
    let _here = HostBuilder::new(&broker, "web2", "test", "web").start();
    run(operator(&broker, "viewer").arg("status"), 0);
    drop(gone);
    // It answers who it is, and nothing else.
    let _mute = Peer::start(&broker, base_answer("old1", "test", "legacy"), |_| Vec::new());
    let shown = run(operator(&broker, "viewer").arg("status"), 3);
    in_order(&row(&shown, "web1"), &["web1 offline, last seen ", " s ago"]);
    assert_eq!(row(&shown, "web2"), "web2 no job yet");
    assert_eq!(row(&shown, "old1"), "old1 it did not answer the question; ask again");
    run(operator(&broker, "viewer").args(["status", "web2"]), 0);
    let lines = run(operator(&broker, "viewer").args(["status", "web1", "web2", "--output", "json"]), 3);
    let told: Vec<_> = lines.json().iter().map(|line| line["told"].clone()).collect();
    assert_eq!(told, ["silent", "answer"]);
}

#[test]
fn a_host_that_is_back_is_asked_though_nobody_expects_it() {
    let broker = Broker::start();
    let answer = base_answer("old1", "test", "legacy");
    let told = |request: &Value| {
        let report = json!({"hostname": "old1", "status": "completed", "message": "done"});
        vec![json!({"want": "job", "hostname": "old1", "report": report, "id": request["id"]})]
    };
    // It does not say that it is there, but answers what is asked of it by name.
    let peer = Peer::start(&broker, answer, told);
    run(operator(&broker, "viewer").arg("status"), 0);
    drop(peer);
    let _mute = Peer::mute(&broker, told);
    let shown = run(operator(&broker, "viewer").args(["status", "old1"]), 0);
    in_order(&row(&shown, "old1"), &["old1 completed"]);
}

#[test]
fn nobody_at_all_is_told_as_exit_3() {
    let broker = Broker::start();
    let nobody = run(operator(&broker, "viewer").arg("status"), 3);
    assert!(nobody.out.starts_with("no host answered; is a listener running"), "{nobody}");
    run(operator(&broker, "viewer").args(["status", "deploy.test.all"]), 3);
    assert_eq!(run(operator(&broker, "viewer").args(["status", "--output", "json"]), 3).out, "");
}

#[test]
fn a_listener_that_knows_no_jobs_is_called_too_old() {
    let broker = Broker::start();
    let answer = base_answer("old1", "test", "legacy");
    let _old = Peer::start(&broker, answer.clone(), move |_| vec![answer.clone()]);
    for command in ["status", "history"] {
        let shown = run(operator(&broker, "viewer").args([command, "old1"]), 3);
        assert!(shown.out.contains("its listener is too old to tell; update it"), "{shown}");
        let lines = run(operator(&broker, "viewer").args([command, "old1", "--output", "json"]), 3).json();
        assert_eq!((&lines[0]["told"], &lines[0]["answer"]), (&json!("too_old"), &Value::Null));
    }
}

#[test]
fn programs_read_the_whole_report_of_each_host() {
    let broker = Broker::start();
    let _bad = HostBuilder::new(&broker, "db1", "test", "db").script("echo no space; exit 3").start();
    let _idle = HostBuilder::new(&broker, "web1", "test", "web").start();
    let deployed = run(operator(&broker, "tester").args(["deploy", "db1", "--output", "json"]), 1).json();
    let lines = run(operator(&broker, "viewer").args(["status", "--output", "json"]), 0).json();
    let [failed, idle] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!(failed["answer"], deployed.last().unwrap()["value"]["hosts"][0]["report"]);
    assert!(failed["answer"]["diagnostics"].as_str().unwrap().ends_with("no space"));
    assert_eq!((&failed["host"], &failed["told"]), (&json!("db1"), &json!("answer")));
    assert_eq!(idle["answer"], Value::Null);
    assert!(idle["seen"].is_string());
}

#[test]
fn two_hosts_of_one_name_are_both_shown() {
    let broker = Broker::start();
    let _hosts = ["true", "exit 1"]
        .map(|script| HostBuilder::new(&broker, "web1", "test", "web").script(script).start());
    run(operator(&broker, "tester").args(["deploy", "deploy.test.web1"]), 1);
    let shown = run(operator(&broker, "viewer").args(["status", "web1"]), 0);
    let rows: Vec<_> = shown.out.lines().filter(|line| line.starts_with("web1 (")).collect();
    assert_eq!(rows.len(), 2, "{shown}");
    for state in ["completed", "failed: activation_failed"] {
        assert!(rows.iter().any(|row| row.contains(state)), "{shown}");
    }
    // Asks for the first time: whoever knows the name waits for one answer only.
    run(operator(&broker, "admin").args(["logs", "web1"]), 2).complains(&["2 listeners claim the name"]);
}
