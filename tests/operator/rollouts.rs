//! The public side of rollouts: what the process that runs one publishes, and commands from others.

use crate::common::{
    CommandOutput, DEADLINE, NatsServer, RawClient, RawMessage, RawSubscription, RunningCommand, Signer,
    eventually, kill_users, operator, run,
};
use crate::fake_hosts::{Behavior, FakeHost, FakeHosts};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

const OWN: &str = "everything";

/// Kills background processes, which have their own sessions.
pub(crate) struct Cleanup(pub(crate) PathBuf);

impl Drop for Cleanup {
    fn drop(&mut self) {
        kill_users(&self.0);
    }
}

/// Three hosts that wait.
fn hosts(nats: &NatsServer) -> FakeHosts {
    let waits = |n| FakeHost::new(&format!("web{n}"), "web", Behavior::Waits);
    FakeHosts::start(nats, (1..=3).map(waits).collect())
}

/// A deployment to these hosts, one after another.
fn deploy(nats: &NatsServer, user: &str) -> Command {
    let mut command = operator(nats, user);
    command.args(["deploy", "--all", "--tier", "test", "--no-pin", "--batch", "1"]);
    command
}

fn rollouts(nats: &NatsServer, user: &str, args: &[&str], code: i32) -> CommandOutput {
    run(operator(nats, user).arg("rollouts").args(args), code)
}

/// The statuses that a viewer receives.
fn watch(nats: &NatsServer) -> (RawClient, RawSubscription) {
    let viewer = RawClient::connect(nats, "viewer");
    let heard = viewer.subscribe("rollouts.status.*");
    (viewer, heard)
}

/// Waits for a status.
fn status(heard: &RawSubscription, wanted: impl Fn(&Value) -> bool) -> RawMessage {
    loop {
        let message = heard.within(DEADLINE).expect("another status");
        if wanted(&message.body) {
            return message;
        }
    }
}

fn is(state: &'static str) -> impl Fn(&Value) -> bool {
    move |status| status["state"] == state
}

/// A command to the process that has published this status.
fn control(status: &Value, id: &str, command: &str) -> Value {
    let now = Timestamp::now();
    json!({
        "id": id, "rollout": status["id"], "runner": status["runner"], "command": command, "issuer": "mallory",
        "issued_at": now, "expires_at": now + SignedDuration::from_secs(60),
    })
}

/// Publishes a command with a signature of `signer`.
fn publish(wire: &RawClient, control: &Value, purpose: &str, signer: Option<&str>) {
    let subject = format!("rollouts.control.{}", control["rollout"].as_str().unwrap());
    let payload = control.to_string().into_bytes();
    let headers = signer.map(|signer| Signer::of(signer).headers_for(purpose, &subject, &payload));
    wire.publish_with_headers(&subject, None, &headers.unwrap_or_default(), &payload);
    wire.round_trip();
}

#[test]
fn the_plan_and_every_change_are_published() {
    let nats = NatsServer::start();
    let fake_hosts = hosts(&nats);
    let (_viewer, heard) = watch(&nats);
    let deploy = RunningCommand::start(&mut deploy(&nats, OWN));
    let first = heard.within(DEADLINE).unwrap();
    let body = &first.body;
    assert_eq!(first.subject, format!("rollouts.status.{}", body["id"].as_str().unwrap()));
    assert_eq!(body["hosts"], json!(["web1", "web2", "web3"]));
    assert_eq!(body["batches"], json!([{"kind": "batch", "hosts": 1, "count": 3}]));
    assert_eq!((&body["state"], &body["sent_batches"]), (&json!("running"), &json!(1)));
    assert_eq!((&body["action"], &body["revision"]), (&json!("switch"), &json!("master")));
    assert!(body["issuer"].as_str().unwrap().starts_with("everything@"), "{body}");
    let expected = Signer::of(OWN).headers_for("rollout", &first.subject, &first.payload);
    assert_eq!(first.headers, expected, "signed with the key of the operator");
    // A heartbeat while nothing changes.
    let second = heard.within(DEADLINE).unwrap().body;
    assert_eq!((&second["sent_batches"], &second["hosts"]), (&json!(1), &body["hosts"]));
    assert!(second["seq"].as_u64() > body["seq"].as_u64());
    fake_hosts.release();
    status(&heard, |status| status["sent_batches"] == 2);
    fake_hosts.release();
    status(&heard, is("done"));
    fake_hosts.release();
    deploy.wait_for_exit(0);
}

#[test]
fn a_rollout_is_listed_paused_continued_and_aborted() {
    let nats = NatsServer::start();
    let fake_hosts = hosts(&nats);
    assert_eq!(rollouts(&nats, OWN, &[], 0).stdout, "no rollout has batches left to send\n");
    let (_viewer, heard) = watch(&nats);
    let mut deploy = RunningCommand::start(&mut deploy(&nats, OWN));
    let id = status(&heard, |_| true).body["id"].as_str().unwrap().to_owned();
    for user in [OWN, "viewer"] {
        let listed = rollouts(&nats, user, &[], 0).stdout;
        for shown in [&*id, "switch master", "everything@", "1 of 3", "running", "not sent: web2, web3"] {
            assert!(listed.contains(shown), "no {shown:?} in {listed}");
        }
    }
    let json = rollouts(&nats, OWN, &["--output", "json"], 0).json();
    assert_eq!(
        (&json[0]["event"], &json[0]["value"]["hosts"]),
        (&json!("rollout"), &json!(["web2", "web3"]))
    );

    rollouts(&nats, OWN, &["pause"], 0);
    deploy.wait_for_line("rollout paused by everything@");
    fake_hosts.release();
    deploy.wait_for_line("web1  completed");
    assert!(rollouts(&nats, OWN, &["pause"], 1).stderr.contains("the rollout is already paused"));
    let listed = rollouts(&nats, OWN, &[], 0).stdout;
    assert!(listed.contains("1 of 3") && listed.contains("paused by everything@"), "{listed}");
    assert_eq!(fake_hosts.requested_hosts(), ["web1"], "a pause holds the next batch");

    rollouts(&nats, OWN, &["continue", &id[..20]], 0);
    deploy.wait_for_line("rollout continued");
    assert_eq!(fake_hosts.request().0, "web2");
    let aborted = rollouts(&nats, OWN, &["abort", &id], 0).stdout;
    assert!(aborted.contains("ended: aborted by everything@"), "{aborted}");
    fake_hosts.release();
    let ended = deploy.wait_for_exit(0);
    assert!(ended.stdout.contains("not started because it was aborted: web3"), "{ended}");
    assert!(fake_hosts.requested_hosts().is_empty());
    assert!(
        rollouts(&nats, OWN, &["abort", &id], 1).stderr.contains(&format!("no process runs a rollout {id}"))
    );
}

#[test]
fn commands_of_others_and_recorded_ones_are_ignored() {
    let nats = NatsServer::start();
    let fake_hosts = hosts(&nats);
    let (_viewer, heard) = watch(&nats);
    let wire = RawClient::connect(&nats, OWN);
    let recorder = wire.subscribe("rollouts.control.*");
    let deploy = RunningCommand::start(&mut deploy(&nats, OWN));
    let first = status(&heard, |_| true).body;
    let expired = json!(Timestamp::now() - SignedDuration::from_secs(1));
    let long = json!(Timestamp::now() + SignedDuration::from_hours(1));
    let changed = |id: &str, field: &str, value: Value| {
        let mut control = control(&first, id, "abort");
        control[field] = value;
        control
    };
    // Not signed, by other keys, for another purpose, and for another process or rollout.
    publish(&wire, &control(&first, "c1", "abort"), "control", None);
    for user in ["viewer", "admin", "tester", "mcp", "stranger", "web1"] {
        publish(&wire, &control(&first, "c2", "abort"), "control", Some(user));
    }
    for purpose in ["request", "query", "rollout"] {
        publish(&wire, &control(&first, "c3", "abort"), purpose, Some(OWN));
    }
    publish(&wire, &changed("c4", "runner", json!("another")), "control", Some(OWN));
    publish(&wire, &changed("c5", "expires_at", long), "control", Some(OWN));
    publish(&wire, &changed("c6", "expires_at", expired), "control", Some(OWN));
    // The reply to the expired one shows that all were read.
    let reply = status(&heard, |status| status["answer"]["id"] == "c6").body;
    assert!(reply["answer"]["error"].as_str().unwrap().starts_with("it expired at "), "{reply}");
    assert_eq!(reply["state"], "running");

    // A recorded pause has no effect a second time, with the same bytes and signature.
    rollouts(&nats, OWN, &["pause"], 0);
    let paused = loop {
        let message = recorder.within(DEADLINE).unwrap();
        if message.body["command"] == "pause" {
            break message;
        }
    };
    status(&heard, is("paused"));
    rollouts(&nats, OWN, &["continue"], 0);
    status(&heard, is("running"));
    wire.publish_with_headers(&paused.subject, None, &paused.headers, &paused.payload);
    publish(&wire, &control(&first, "c7", "unknown"), "control", Some(OWN));
    let reply = status(&heard, |status| status["answer"]["id"] == "c7").body;
    assert_eq!(
        (&reply["state"], &reply["answer"]["error"]),
        (&json!("running"), &json!("unknown command \"unknown\""))
    );
    (0..3).for_each(|_| fake_hosts.release());
    deploy.wait_for_exit(0);
}

#[test]
fn operators_of_the_fleet_file_control_the_rollouts_of_their_tiers() {
    let nats = NatsServer::start();
    let fake_hosts = hosts(&nats);
    let (_viewer, heard) = watch(&nats);
    let config = nats.dir().join("config/tester/homelab-deploy");
    fs::create_dir_all(&config).unwrap();
    let fleet = nats.fleet_file().display().to_string();
    fs::write(config.join("config.toml"), format!("[contexts.home]\nfleet = {fleet:?}\n")).unwrap();
    let mut command = deploy(&nats, "tester");
    let deploy = RunningCommand::start(command.args(["--context", "home"]));
    status(&heard, |_| true);
    // The key of an assistant may not publish there, and that of a viewer neither.
    for user in ["mcp", "viewer"] {
        let refused = rollouts(&nats, user, &["pause"], 5);
        refused.assert_stderr(&["rollouts.control.", "keys nats-config"]);
    }
    rollouts(&nats, "admin", &["pause"], 0);
    let paused = status(&heard, is("paused")).body;
    assert!(paused["reason"].as_str().unwrap().starts_with("paused by admin@"), "{paused}");
    rollouts(&nats, "admin", &["abort"], 0);
    fake_hosts.release();
    deploy.wait_for_exit(0);

    // Without a fleet file, only the own key counts.
    fs::remove_file(config.join("config.toml")).unwrap();
    let deploy = RunningCommand::start(&mut self::deploy(&nats, "tester"));
    status(&heard, is("running"));
    rollouts(&nats, "admin", &["pause"], 3).assert_stderr(&["did not reply", "does not accept this key"]);
    rollouts(&nats, "tester", &["abort"], 0);
    fake_hosts.release();
    deploy.wait_for_exit(0);
}

#[test]
fn permissions_from_before_rollouts_deny_only_them_and_that_is_said_once() {
    let mut nats = NatsServer::start();
    let fleet = nats.fleet_file().display().to_string();
    let current = run(operator(&nats, OWN).args(["keys", "nats-config", &fleet]), 0).stdout;
    assert!(
        current.contains("\"rollouts.status.*\"") && current.contains("\"rollouts.control.*\""),
        "{current}"
    );
    let older = current
        .replace("\"rollouts.control.*\"", "\"older.x\"")
        .replace("\"rollouts.status.*\"", "\"older\"");
    nats.reload(&older);
    let fake_hosts = FakeHosts::start(
        &nats,
        (1..=3).map(|n| FakeHost::new(&format!("web{n}"), "web", Behavior::Completes)).collect(),
    );
    let ended = run(&mut deploy(&nats, "tester"), 0);
    assert_eq!(fake_hosts.requested_hosts(), ["web1", "web2", "web3"]);
    let note = "other consoles can neither see nor control this rollout";
    assert_eq!(ended.stdout.matches(note).count(), 1, "{ended}");
    assert!(ended.stdout.contains("rollouts.status.* and rollouts.control.*"), "{ended}");
    rollouts(&nats, "tester", &[], 5).assert_stderr(&["rollouts.status.*", "keys nats-config"]);
}

#[test]
fn a_detached_deployment_continues_after_the_command() {
    let nats = NatsServer::start();
    let _cleanup = Cleanup(nats.dir().to_owned());
    let fake_hosts = hosts(&nats);
    let (_viewer, heard) = watch(&nats);
    let started = run(deploy(&nats, OWN).args(["--detach", "--output", "json"]), 0).json();
    let detached = &started.iter().find(|line| line["event"] == "detached").unwrap()["value"];
    let first = status(&heard, |_| true).body;
    assert_eq!(first["id"], detached["id"]);
    for host in ["web1", "web2", "web3"] {
        assert_eq!(fake_hosts.request().0, host);
        fake_hosts.release();
    }
    let log = detached["log"].as_str().unwrap();
    let ended = || fs::read_to_string(log).ok().filter(|log| log.contains("RESULT"));
    let log = eventually("the end of the background process", ended);
    assert!(log.contains("batch 3 of 3: web3") && log.contains("completed"), "{log}");
    assert!(fake_hosts.requested_hosts().is_empty(), "nothing was sent twice");
}

#[test]
fn a_limit_stops_a_detached_rollout_until_it_is_continued() {
    let nats = NatsServer::start();
    let _cleanup = Cleanup(nats.dir().to_owned());
    let how = |n| if n == 1 { Behavior::Fails } else { Behavior::Completes };
    let fake_hosts =
        FakeHosts::start(&nats, (1..=3).map(|n| FakeHost::new(&format!("web{n}"), "web", how(n))).collect());
    let (_viewer, heard) = watch(&nats);
    run(deploy(&nats, OWN).arg("--detach"), 0);
    let stopped = status(&heard, is("stopped")).body;
    assert_eq!(
        (&stopped["reason"], &stopped["sent_batches"], &stopped["failed"]),
        (&json!("1 host failed (none allowed)"), &json!(1), &json!(1))
    );
    assert_eq!(fake_hosts.requested_hosts(), ["web1"]);
    rollouts(&nats, OWN, &["continue"], 0);
    status(&heard, is("done"));
    assert_eq!((fake_hosts.request().0, fake_hosts.request().0), ("web2".to_owned(), "web3".to_owned()));
}
