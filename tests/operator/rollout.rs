//! Rollouts end to end: batches, the failure limit, and the command to continue with the remaining hosts.

use crate::common::{CommandOutput, HostBuilder, NatsServer, RunningCommand, operator, run};
use crate::fake_hosts::{Behavior, FakeHost, FakeHosts};
use serde_json::{Value, json};
use std::process::Command;

fn deploy(nats: &NatsServer, args: &[&str]) -> Command {
    let mut command = operator(nats, "everything");
    command.args(["deploy", "--no-pin"]).args(args);
    command
}

fn all(nats: &NatsServer, args: &[&str], code: i32) -> CommandOutput {
    run(deploy(nats, &["--all", "--tier", "test", "--output", "json"]).args(args), code)
}

/// Hosts `web1` to `webN`, with other behaviors for some of them.
fn webs(count: usize, others: &[(usize, Behavior)]) -> Vec<FakeHost> {
    let how = |n| others.iter().find(|(host, _)| *host == n).map_or(Behavior::Completes, |(_, how)| *how);
    (1..=count).map(|n| FakeHost::new(&format!("web{n}"), "web", how(n))).collect()
}

fn batches(ended: &CommandOutput) -> Vec<Value> {
    let lines = ended.json().into_iter().filter(|line| line["event"] == "batch");
    lines.map(|line| line["value"]["hosts"].clone()).collect()
}

fn result(ended: &CommandOutput) -> Value {
    let last = ended.json().pop().unwrap();
    assert_eq!((&last["event"], &last["exit"]), (&json!("result"), &json!(ended.code)), "{ended}");
    last["value"].clone()
}

/// Runs the printed command in a shell.
fn typed(line: &str, environment: &Command, code: i32) -> CommandOutput {
    let words = line.trim().strip_prefix("homelab-deploy ").expect("our own name");
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("exec {} {words} --output json", crate::common::binary().display()));
    for (name, value) in environment.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    run(&mut shell, code)
}

#[test]
fn batches_run_in_sequence_and_the_canary_first() {
    let nats = NatsServer::start();
    let fake_hosts = FakeHosts::start(&nats, webs(6, &[]));
    let done = all(&nats, &["--canary", "web3", "--batch", "2"], 0);
    let expected = [json!(["web3"]), json!(["web1", "web2"]), json!(["web4", "web5"]), json!(["web6"])];
    assert_eq!(batches(&done), expected, "{done}");
    assert_eq!(fake_hosts.requested_hosts(), ["web3", "web1", "web2", "web4", "web5", "web6"]);
    let kinds: Vec<_> =
        done.json().iter().filter(|l| l["event"] == "batch").map(|l| l["value"].clone()).collect();
    assert_eq!(
        (&kinds[0]["kind"], &kinds[0]["batch"], &kinds[0]["of"]),
        (&json!("canary"), &json!(1), &json!(4))
    );
    let result = result(&done);
    assert_eq!(result["hosts"].as_array().unwrap().len(), 6);
    assert_eq!(result.get("not_started"), None);

    let output = run(&mut deploy(&nats, &["web1", "web2", "--batch", "50%"]), 0);
    for expected in ["batch 1 of 2: web1\n", "batch 2 of 2: web2\n"] {
        assert!(output.stdout.contains(expected), "no {expected:?} in {output}");
    }
}

#[test]
fn a_failed_canary_stops_the_rollout_which_can_be_resumed() {
    let nats = NatsServer::start();
    let fake_hosts = FakeHosts::start(&nats, webs(4, &[(1, Behavior::Fails)]));
    let mut command =
        deploy(&nats, &["--all", "--tier", "test", "--canary", "1", "--batch", "2", "--max-failures", "9"]);
    let stopped = run(&mut command, 1);
    assert_eq!(fake_hosts.requested_hosts(), ["web1"]);
    let (message, command_line) = stopped.stdout.trim_end().rsplit_once('\n').unwrap();
    assert!(
        message.ends_with(
            "not started because the canary did not complete: web2, web3, web4. To continue with the remaining hosts:"
        ),
        "{stopped}"
    );
    assert_eq!(
        command_line.trim(),
        "homelab-deploy deploy web2 web3 web4 --no-pin --branch master --batch 2 --canary 1 --max-failures 9"
    );
    let rest = typed(command_line, &command, 0);
    assert_eq!(fake_hosts.requested_hosts(), ["web2", "web3", "web4"]);
    assert_eq!(batches(&rest), [json!(["web2"]), json!(["web3", "web4"])]);
}

#[test]
fn five_hundred_hosts_stop_in_the_batch_that_exceeds_the_failure_limit() {
    let nats = NatsServer::start();
    // In batches of fifty by name, one host fails in each of the first, third and fourth batch.
    let failing = [(7, Behavior::Fails), (120, Behavior::Rejects), (200, Behavior::Fails)];
    let fake_hosts = FakeHosts::start(&nats, webs(500, &failing));
    let stopped = all(&nats, &["--batch", "50", "--max-failures", "2"], 1);
    assert_eq!(batches(&stopped).len(), 4, "{}", stopped.stderr);
    assert_eq!(fake_hosts.requested_hosts().len(), 200);
    let result = result(&stopped);
    let hosts = result["hosts"].as_array().unwrap();
    let hosts_with = |result: &str| {
        let hosts = hosts.iter().filter(|host| host["result"] == result);
        hosts.map(|host| host["host"].as_str().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!((hosts.len(), hosts_with("completed").len()), (200, 197));
    assert_eq!(hosts_with("failed"), ["web200", "web7"]);
    assert_eq!(hosts_with("rejected"), ["web120"]);
    let not_started = result["not_started"].as_array().unwrap();
    assert_eq!(
        (not_started.len(), &not_started[0], &not_started[299]),
        (300, &json!("web201"), &json!("web500"))
    );
    assert_eq!(result["stopped"], json!({"reason": "failures", "failed": 3, "allowed": 2}));

    // With a limit of one more failure, the rollout completes.
    let through = all(&nats, &["--batch", "50", "--max-failures", "3"], 1);
    assert_eq!(batches(&through).len(), 10);
    assert_eq!(self::result(&through).get("not_started"), None);
}

#[test]
fn a_host_that_vanishes_counts_as_failed_and_one_that_was_away_does_not() {
    let nats = NatsServer::start();
    let away = HostBuilder::new(&nats, "db1", "test", "db").start();
    run(operator(&nats, "everything").arg("hosts"), 0);
    drop(away);
    let fake_hosts = FakeHosts::start(&nats, webs(3, &[(2, Behavior::Ignores)]));
    let stopped = all(&nats, &["--batch", "1"], 3);
    assert_eq!(batches(&stopped), [json!(["web1"]), json!(["web2"])], "{stopped}");
    assert_eq!(result(&stopped)["not_started"], json!(["web3", "db1"]));
    fake_hosts.requested_hosts();

    // The offline host comes last and does not count as a failure.
    let through = all(&nats, &["--batch", "1", "--max-failures", "1"], 3);
    assert_eq!(batches(&through), [json!(["web1"]), json!(["web2"]), json!(["web3"]), json!(["db1"])]);
    let skipped = all(&nats, &["--batch", "1", "--max-failures", "1", "--skip-offline"], 3);
    assert_eq!(batches(&skipped).len(), 3, "{skipped}");
}

#[test]
fn the_host_of_the_nats_server_comes_last_and_alone() {
    let nats = NatsServer::start();
    // The NATS server of this test runs on this machine.
    let here =
        rustix::system::uname().nodename().to_string_lossy().split('.').next().unwrap().to_ascii_lowercase();
    let mut members = webs(3, &[]);
    members.push(FakeHost::new(&here, "a-first-role", Behavior::Completes));
    let _fake_hosts = FakeHosts::start(&nats, members);
    let done = all(&nats, &["--batch", "2", "--order", "role,host"], 0);
    assert_eq!(batches(&done), [json!(["web1", "web2"]), json!(["web3"]), json!([here])], "{done}");
}

#[test]
fn ctrl_c_in_a_pause_between_batches_leaves_the_other_hosts_unchanged() {
    let nats = NatsServer::start();
    let fake_hosts = FakeHosts::start(&nats, webs(2, &[]));
    let mut command = deploy(&nats, &["web1", "web2", "--batch", "1", "--pause", "3600"]);
    let mut running = RunningCommand::start(&mut command);
    running.wait_for_line("note: the next batch starts in 3600 s");
    running.interrupt();
    let ended = running.wait_for_exit(130);
    ended.assert_stderr(&["No further batch starts; to continue with the remaining hosts:"]);
    let line = ended.stderr.trim_end().lines().last().unwrap();
    assert_eq!(line.trim(), "homelab-deploy deploy web2 --no-pin --branch master --batch 1 --pause 3600");
    assert_eq!(fake_hosts.requested_hosts(), ["web1"]);
    typed(line, &command, 0);
    assert_eq!(fake_hosts.requested_hosts(), ["web2"]);
}

#[test]
fn a_pause_of_a_second_ends_automatically() {
    let nats = NatsServer::start();
    let fake_hosts = FakeHosts::start(&nats, webs(2, &[]));
    all(&nats, &["--batch", "1", "--pause", "1"], 0);
    assert_eq!(fake_hosts.requested_hosts(), ["web1", "web2"]);
}

#[test]
fn invalid_batches_send_nothing() {
    let nats = NatsServer::start();
    let fake_hosts = FakeHosts::start(&nats, webs(2, &[]));
    for (args, expected) in [
        (
            &["deploy.test.all", "--batch", "1"][..],
            "the subject deploy.test.all reaches all its hosts at once, so they cannot be deployed in batches: name hosts",
        ),
        (
            &["web1", "--canary", "web2"],
            "the canary web2 is not among the selected hosts (did you mean web1?); nothing was sent",
        ),
        (
            &["web1", "--max-failures", "1"],
            "--max-failures applies to a rollout in batches: add --batch or --canary",
        ),
        (&["web1", "--pause", "1"], "--pause applies to a rollout in batches: add --batch or --canary"),
        (&["web1", "--order", "host"], "--order applies to a rollout in batches: add --batch or --canary"),
    ] {
        run(&mut deploy(&nats, args), 2).assert_stderr(&[expected]);
    }
    assert_eq!(fake_hosts.requested_hosts(), Vec::<String>::new());
}

#[test]
fn a_batch_that_times_out_counts_as_failed() {
    let nats = NatsServer::start();
    let fake_hosts = FakeHosts::start(&nats, webs(3, &[(1, Behavior::Waits)]));
    let late = all(&nats, &["--batch", "1", "--timeout", "1"], 4);
    assert_eq!(fake_hosts.requested_hosts(), ["web1"]);
    assert_eq!(result(&late)["not_started"], json!(["web2", "web3"]));
    fake_hosts.release();
}
