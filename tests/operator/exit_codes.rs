//! Exit codes of a deployment and their messages.

use crate::common::{
    CommandOutput, Gate, HostBuilder, NatsServer, RawClient, RunningCommand, hold_in_phase, operator, run,
};
use std::time::{Duration, Instant};

/// Longer than any immediate result takes, and shorter than the time that hosts have to answer.
const AT_ONCE: Duration = Duration::from_secs(4);

#[test]
fn exit_0_every_host_completed() {
    let nats = NatsServer::start();
    let _hosts =
        [("web1", "web"), ("db1", "db")].map(|(n, role)| HostBuilder::new(&nats, n, "test", role).start());
    let done = run(operator(&nats, "tester").args(["deploy", "--all", "--tier", "test"]), 0);
    assert_eq!(done.stdout.matches("  completed in ").count(), 2, "{done}");
    assert_eq!(done.stderr, "");
}

#[test]
fn exit_1_a_host_failed() {
    let nats = NatsServer::start();
    let _good = HostBuilder::new(&nats, "web1", "test", "web").start();
    let _bad = HostBuilder::new(&nats, "db1", "test", "db").script("echo no space; exit 3").start();
    let failed = run(operator(&nats, "tester").args(["deploy", "--all", "--tier", "test"]), 1);
    for expected in [
        "\nweb1  completed",
        "\ndb1   failed",
        "\ndb1: activation failed: ",
        "exit status: 3",
        "\n  | no space\n",
    ] {
        assert!(failed.stdout.contains(expected), "no {expected:?} in {failed}");
    }
}

#[test]
fn exit_1_a_busy_host_rejected_the_request() {
    let nats = NatsServer::start();
    let host = HostBuilder::new(&nats, "web1", "test", "web").script(&hold_in_phase("build")).start();
    let gate = Gate::of(&host);
    let deploy = || {
        let mut command = operator(&nats, "tester");
        command.args(["deploy", "web1", "--output", "json"]);
        command
    };
    let mut first = RunningCommand::start(&mut deploy());
    let running = first.wait_for_json(|line| line["value"]["status"] == "started")["value"]["id"].clone();

    let rejected = run(operator(&nats, "tester").args(["deploy", "web1"]), 1);
    let expected = format!("already running: job {} is running on this host", running.as_str().unwrap());
    assert!(rejected.stdout.contains(&expected), "{rejected}");
    assert!(rejected.stdout.contains("\nweb1  rejected  "), "{rejected}");
    let rejected = run(&mut deploy(), 1).json();
    let report = &rejected.last().unwrap()["value"]["hosts"][0]["report"];
    assert_eq!(report["error"], "already_running");
    assert_eq!(report["running_job"], running);

    gate.pass();
    first.wait_for_exit(0);
}

#[test]
fn exit_3_no_responders_on_the_subject_is_reported_immediately() {
    let nats = NatsServer::start();
    let deploy_to_absent = |fleet: &str| {
        let start = Instant::now();
        let silent = run(operator(&nats, "tester").args(["deploy", "deploy.test.web9"]), 3);
        assert!(start.elapsed() < AT_ONCE, "{fleet}: {:?}", start.elapsed());
        assert!(silent.stdout.contains("no host answered on deploy.test.web9; "), "{silent}");
    };
    deploy_to_absent("an empty fleet");
    let _host = HostBuilder::new(&nats, "web1", "test", "web").start();
    deploy_to_absent("a fleet without that host");
}

#[test]
fn exit_3_an_expected_host_does_not_answer_unless_offline_hosts_are_skipped() {
    let nats = NatsServer::start();
    let gone = HostBuilder::new(&nats, "web2", "test", "web").start();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").start();
    run(operator(&nats, "tester").arg("hosts"), 0);
    drop(gone);

    let all = |flags: &[&str], code| {
        let mut command = operator(&nats, "tester");
        run(command.args(["deploy", "--all", "--tier", "test"]).args(flags), code)
    };
    let assert_row = |ended: &CommandOutput, result: &str| {
        let row = ended.stdout.lines().find(|line| line.starts_with("web2 ")).expect("a row of web2");
        assert!(row.contains(result) && row.contains("offline, last seen "), "{ended}");
    };
    let without = all(&["--skip-offline"], 0);
    assert!(!without.stdout.contains("web2"), "{without}");
    let silent = all(&[], 3);
    assert_row(&silent, "no answer");
    assert!(silent.stdout.contains("\nweb1  completed"), "{silent}");

    // A single target is given up as soon as the server reports no responders.
    let start = Instant::now();
    assert_row(&run(operator(&nats, "tester").args(["deploy", "web2"]), 3), "no answer");
    assert!(start.elapsed() < AT_ONCE, "{:?}", start.elapsed());
    let deploy_to_absent = run(operator(&nats, "tester").args(["deploy", "web2", "--skip-offline"]), 3);
    deploy_to_absent.assert_stderr(&["no hosts for `deploy`"]);
}

#[test]
fn exit_4_the_timeout_expired_with_a_running_job() {
    let nats = NatsServer::start();
    let host = HostBuilder::new(&nats, "web1", "test", "web").script(&hold_in_phase("build")).start();
    let _gate = Gate::of(&host);
    let late = run(operator(&nats, "tester").args(["deploy", "web1", "--timeout", "1"]), 4);
    let row = late.stdout.lines().last().unwrap();
    assert!(row.starts_with("web1  unknown  "), "{late}");
    assert!(row.contains("was in build, last seen "), "{late}");
}

#[test]
fn exit_5_no_server() {
    let nats = NatsServer::start();
    for (url, reason) in [
        ("nats://127.0.0.1:1", "Connection refused"),
        ("nats://127.0.0.1:1,nats://127.0.0.1:2", "Connection refused"),
        ("nats://nosuch.invalid:4222", "lookup"),
    ] {
        let mut command = operator(&nats, "admin");
        let start = Instant::now();
        let lost = run(command.args(["deploy", "deploy.test.web1", "--nats-url", url]), 5);
        let servers = url.replace(',', ", ");
        lost.assert_stderr(&[
            &format!("could not connect to {servers}: "),
            reason,
            "is a NATS server running there?",
        ]);
        assert!(start.elapsed() < AT_ONCE, "{lost}");
    }
}

#[test]
fn exit_5_the_server_does_not_know_the_key() {
    let nats = NatsServer::start();
    for command in [&["hosts"][..], &["deploy", "web1"], &["cancel", "web1"]] {
        let refused = run(operator(&nats, "stranger").args(command), 5);
        refused.assert_stderr(&[&format!("the server at {} refused the key U", nats.url()), "authorization"]);
    }
    let mut without = operator(&nats, "admin");
    let refused = run(without.env_remove("HOMELAB_DEPLOY_NKEY_FILE").arg("hosts"), 5);
    refused.assert_stderr(&["refused the key: none was given"]);
}

#[test]
fn exit_5_a_refused_subject_is_reported_immediately() {
    let nats = NatsServer::start();
    let _prod = HostBuilder::new(&nats, "ns1", "prod", "dns").start();
    let wire = RawClient::connect(&nats, "everything");
    let requests = wire.subscribe("deploy.prod.>");
    for (user, target) in [
        ("tester", "deploy.prod.ns1"),
        ("tester", "deploy.prod.absent"),
        ("tester", "ns1"),
        ("viewer", "ns1"),
        ("mcp", "deploy.prod.all"),
    ] {
        let start = Instant::now();
        let refused = run(operator(&nats, user).args(["deploy", target, "--yes"]), 5);
        assert!(start.elapsed() < AT_ONCE, "{user} {target}: {:?}", start.elapsed());
        let subject = if target == "ns1" { "deploy.prod.ns1" } else { target };
        refused.assert_stderr(&[&format!(
            "the server refused {subject}: this key has no permission to publish there"
        )]);
    }
    wire.round_trip();
    assert_eq!(requests.received().len(), 0);
    run(operator(&nats, "admin").args(["deploy", "ns1", "--yes"]), 0);
}

#[test]
fn exit_5_a_key_without_query_permission() {
    let nats = NatsServer::start();
    let refused = run(operator(&nats, "web1").arg("hosts"), 5);
    refused.assert_stderr(&["the server refused deploy.responses.ask.", "no permission to subscribe there"]);
}

#[test]
fn exit_130_interrupted_and_the_job_continues() {
    let nats = NatsServer::start();
    let mut host = HostBuilder::new(&nats, "web1", "test", "web").script(&hold_in_phase("build")).start();
    let gate = Gate::of(&host);
    for (format, builds) in [("human", "web1  build"), ("json", r#""name":"build","state":"running""#)] {
        let mut command = operator(&nats, "tester");
        let mut deploy = RunningCommand::start(command.args(["deploy", "web1", "--output", format]));
        deploy.wait_for_line(builds);
        deploy.interrupt();
        let interrupted = deploy.wait_for_exit(130);
        interrupted.assert_stderr(&[
            "interrupted; running jobs continue on their hosts",
            "`homelab-deploy status` shows them",
        ]);
        let hosts = run(operator(&nats, "tester").arg("hosts"), 0);
        assert!(hosts.stdout.contains("build"), "{hosts}");
        gate.pass();
        host.wait_for_log("job completed");
    }
}
