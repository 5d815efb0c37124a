//! `status`: the running or last job of each host.

use crate::common::{
    CommandOutput, FakeListener, Gate, HostBuilder, NatsServer, RunningCommand, WAIT, base_presence,
    operator, run,
};
use serde_json::{Value, json};

/// The row of a host, with single spaces.
fn row(ended: &CommandOutput, host: &str) -> String {
    let row = ended.stdout.lines().find(|line| line.split_whitespace().next() == Some(host));
    row.unwrap_or_else(|| panic!("{ended}")).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Asserts that the text contains these parts in order.
fn in_order(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        let at = rest.find(part).unwrap_or_else(|| panic!("no {part:?} in {rest:?} of {text:?}"));
        rest = &rest[at + part.len()..];
    }
}

#[test]
fn people_read_what_runs_and_what_ran_last() {
    let nats = NatsServer::start();
    let function = r#"report() { echo "@homelab-deploy $1"; }"#;
    let held = format!("{function}\nreport '{{\"phase\":\"build\",\"done\":1,\"expected\":3}}'\n{WAIT}");
    let builds = HostBuilder::new(&nats, "web1", "test", "web").script(&held).start();
    let gate = Gate::of(&builds);
    let commit = r#"report '{"phase":"activate","commit":"0123456789abcdef","generation":42}'"#;
    let good = HostBuilder::new(&nats, "ns1", "prod", "dns").script(&format!("{function}\n{commit}"));
    let _good = good.start();
    let _bad = HostBuilder::new(&nats, "db1", "test", "db").script("echo no space; exit 3").start();
    let _idle = HostBuilder::new(&nats, "ns2", "prod", "dns").start();
    let mut deploy =
        RunningCommand::start(operator(&nats, "admin").args(["deploy", "web1", "--branch", "v2"]));
    deploy.wait_for_line("build 1/3");
    run(operator(&nats, "admin").args(["deploy", "ns1", "--yes", "--action", "boot"]), 0);
    run(operator(&nats, "admin").args(["deploy", "db1"]), 1);

    let shown = run(operator(&nats, "viewer").arg("status"), 0);
    assert_eq!(row(&shown, "HOST"), "HOST STATE ACTION REVISION BY UPDATED TIME PHASES");
    in_order(
        &row(&shown, "ns1"),
        &["ns1 completed boot master 0123456 admin@", " prepare ", " s, activate ", " s"],
    );
    in_order(&row(&shown, "web1"), &["web1 build 1/3 switch v2 admin@", " prepare ", ", build running "]);
    in_order(
        &row(&shown, "db1"),
        &["db1 failed: activation failed switch master admin@", "activate failed "],
    );
    assert_eq!(row(&shown, "ns2"), "ns2 no job yet");
    in_order(&shown.stdout, &["\n\ndb1: activation failed: ", "\n  | no space\n"]);
    assert_eq!(shown.stderr, "");
    gate.pass();
    deploy.wait_for_exit(0);
}

#[test]
fn only_the_hosts_that_are_named_are_shown() {
    let nats = NatsServer::start();
    let _hosts = ["web1", "web2", "db1"].map(|name| HostBuilder::new(&nats, name, "test", name).start());
    let hosts = |args: &[&str]| -> Vec<String> {
        let mut command = operator(&nats, "viewer");
        command.env("HOMELAB_DEPLOY_ALIAS_SITE", "web2").env("HOMELAB_DEPLOY_ALIAS_ALL", "deploy.test.all");
        let shown = run(command.arg("status").args(args), 0);
        shown.stdout.lines().skip(1).map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    };
    assert_eq!(hosts(&["web1", "db1", "web1"]), ["db1", "web1"]);
    assert_eq!(hosts(&["site"]), ["web2"]);
    assert_eq!(hosts(&["all"]), ["db1", "web1", "web2"]);
    assert_eq!(hosts(&["deploy.test.role.web1", "web2"]), ["web1", "web2"]);
    let unknown = run(operator(&nats, "viewer").args(["status", "web1", "wbe2"]), 2);
    unknown.assert_stderr(&["unknown host wbe2 (did you mean web2", "`homelab-deploy hosts`"]);
    run(operator(&nats, "viewer").args(["status", "deploy.>"]), 2).assert_stderr(&["has wildcards"]);
}

#[test]
fn unresponsive_hosts_are_named_with_exit_3() {
    let nats = NatsServer::start();
    let gone = HostBuilder::new(&nats, "web1", "test", "web").start();
    let _here = HostBuilder::new(&nats, "web2", "test", "web").start();
    run(operator(&nats, "viewer").arg("status"), 0);
    drop(gone);
    // This host only answers presence queries.
    let _mute = FakeListener::start(&nats, base_presence("old1", "test", "legacy"), |_| Vec::new());
    let shown = run(operator(&nats, "viewer").arg("status"), 3);
    in_order(&row(&shown, "web1"), &["web1 offline, last seen ", " s ago"]);
    assert_eq!(row(&shown, "web2"), "web2 no job yet");
    assert_eq!(row(&shown, "old1"), "old1 no answer to the query: try again");
    run(operator(&nats, "viewer").args(["status", "web2"]), 0);
    let lines = run(operator(&nats, "viewer").args(["status", "web1", "web2", "--output", "json"]), 3);
    let replies: Vec<_> = lines.json().iter().map(|line| line["reply"].clone()).collect();
    assert_eq!(replies, ["no_answer", "ok"]);
}

#[test]
fn an_unexpected_returning_host_is_queried() {
    let nats = NatsServer::start();
    let answer = base_presence("old1", "test", "legacy");
    let replies = |request: &Value| {
        let report = json!({"hostname": "old1", "status": "completed", "message": "done"});
        vec![json!({"query": "job", "hostname": "old1", "report": report, "id": request["id"]})]
    };
    // This host does not answer discovery, but answers queries that name it.
    let peer = FakeListener::start(&nats, answer, replies);
    run(operator(&nats, "viewer").arg("status"), 0);
    drop(peer);
    let _mute = FakeListener::unannounced(&nats, replies);
    let shown = run(operator(&nats, "viewer").args(["status", "old1"]), 0);
    in_order(&row(&shown, "old1"), &["old1 completed"]);
}

#[test]
fn no_hosts_end_with_exit_3() {
    let nats = NatsServer::start();
    let unanswered = run(operator(&nats, "viewer").arg("status"), 3);
    assert!(
        unanswered.stdout.starts_with("no host answered: check that a listener is running"),
        "{unanswered}"
    );
    run(operator(&nats, "viewer").args(["status", "deploy.test.all"]), 3);
    assert_eq!(run(operator(&nats, "viewer").args(["status", "--output", "json"]), 3).stdout, "");
}

#[test]
fn a_listener_without_job_queries_is_unsupported() {
    let nats = NatsServer::start();
    let answer = base_presence("old1", "test", "legacy");
    let _old = FakeListener::start(&nats, answer.clone(), move |_| vec![answer.clone()]);
    for command in ["status", "history"] {
        let shown = run(operator(&nats, "viewer").args([command, "old1"]), 3);
        assert!(shown.stdout.contains("its listener is too old for this query: update it"), "{shown}");
        let lines = run(operator(&nats, "viewer").args([command, "old1", "--output", "json"]), 3).json();
        assert_eq!((&lines[0]["reply"], &lines[0]["answer"]), (&json!("unsupported"), &Value::Null));
    }
}

#[test]
fn programs_read_the_whole_report_of_each_host() {
    let nats = NatsServer::start();
    let _bad = HostBuilder::new(&nats, "db1", "test", "db").script("echo no space; exit 3").start();
    let _idle = HostBuilder::new(&nats, "web1", "test", "web").start();
    let deployed = run(operator(&nats, "tester").args(["deploy", "db1", "--output", "json"]), 1).json();
    let lines = run(operator(&nats, "viewer").args(["status", "--output", "json"]), 0).json();
    let [failed, idle] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!(failed["answer"], deployed.last().unwrap()["value"]["hosts"][0]["report"]);
    assert!(failed["answer"]["diagnostics"].as_str().unwrap().ends_with("no space"));
    assert_eq!((&failed["host"], &failed["reply"]), (&json!("db1"), &json!("ok")));
    assert_eq!(idle["answer"], Value::Null);
    assert!(idle["last_seen"].is_string());
}

#[test]
fn both_hosts_of_a_name_conflict_are_shown() {
    let nats = NatsServer::start();
    let _hosts = ["true", "exit 1"]
        .map(|script| HostBuilder::new(&nats, "web1", "test", "web").script(script).start());
    run(operator(&nats, "tester").args(["deploy", "deploy.test.web1"]), 1);
    let shown = run(operator(&nats, "viewer").args(["status", "web1"]), 0);
    let rows: Vec<_> = shown.stdout.lines().filter(|line| line.starts_with("web1 (")).collect();
    assert_eq!(rows.len(), 2, "{shown}");
    for state in ["completed", "failed: activation failed"] {
        assert!(rows.iter().any(|row| row.contains(state)), "{shown}");
    }
    // This operator queries for the first time, because an operator that knows the name waits for only one answer.
    let refused = run(operator(&nats, "admin").args(["logs", "web1"]), 2);
    refused.assert_stderr(&["2 listeners claim the name", "give each listener a different --hostname\n"]);
}
