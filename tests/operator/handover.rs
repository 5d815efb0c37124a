//! The hand-over of a rollout to another process: at any moment exactly one process sends, and no batch is lost.

use crate::common::{
    Gate, Host, HostBuilder, NatsServer, RawClient, eventually, hold_in_phase, operator, run,
};
use crate::rollouts::Cleanup;
use homelab_deploy::client::{
    Batch, BatchKind, DetachedRunner, HandoverError, HostRequest, Intent, Plan, Rollout, RolloutHandover,
};
use homelab_deploy::protocol::{Action, Id, Name, Revision};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Stdio};
use std::time::Duration;
use tempfile::TempDir;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// A plan for `web1` and `web2`, one after the other.
fn plan() -> Plan {
    let request = |host: &str| HostRequest {
        subject: format!("deploy.test.{host}"),
        hosts: BTreeMap::from([(name(host), name("test"))]),
        is_explicit: false,
        is_alias: false,
        job: None,
        flakes: BTreeSet::new(),
        is_base_format: false,
        pin: None,
    };
    let batch = |at| Batch { kind: BatchKind::Batch, requests: at..at + 1 };
    let mut intent = Intent::new(Action::Build, "alice".to_owned());
    intent.revision = Some(Revision::new("main").unwrap());
    Plan {
        id: Id::new(uuid::Uuid::now_v7().to_string()).unwrap(),
        intent,
        requests: vec![request("web1"), request("web2")],
        rollout: Rollout::new(vec![batch(0), batch(1)], 0, Duration::ZERO),
        silent: BTreeMap::new(),
        not_built: BTreeSet::new(),
        is_group: true,
        left_out: BTreeMap::new(),
    }
}

fn state(plan: Plan) -> RolloutHandover {
    RolloutHandover::unsent(plan, None, Duration::from_mins(1))
}

/// The process that takes over, with the connection that is its standard input.
struct Taker {
    child: Child,
    connection: BufReader<UnixStream>,
}

impl Taker {
    fn start(nats: &NatsServer) -> Self {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut command = operator(nats, "tester");
        command.arg("rollout-runner").stdin(Stdio::from(OwnedFd::from(theirs)));
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Self { child, connection: BufReader::new(ours) }
    }

    fn send(&mut self, text: &str) {
        self.connection.get_mut().write_all(text.as_bytes()).unwrap();
    }

    fn reply(&mut self) -> String {
        let mut line = String::new();
        self.connection.read_line(&mut line).unwrap();
        line
    }

    fn code(mut self) -> Option<i32> {
        self.connection.get_ref().shutdown(Shutdown::Both).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Taker {
    fn drop(&mut self) {
        // Fails if it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Two listeners.
fn hosts(nats: &NatsServer, script: &str) -> [Host; 2] {
    ["web1", "web2"].map(|host| HostBuilder::new(nats, host, "test", "web").script(script).start())
}

fn jobs(nats: &NatsServer, host: &str) -> usize {
    let history = run(operator(nats, "tester").args(["history", host, "--output", "json"]), 0);
    history.stdout.matches("\"completed\"").count()
}

#[test]
fn nothing_is_sent_before_the_first_process_has_let_go() {
    let nats = NatsServer::start();
    let _hosts = hosts(&nats, "true");
    let wire = RawClient::connect(&nats, "everything");
    let requests = wire.subscribe("deploy.test.>");
    let mut taker = Taker::start(&nats);
    taker.send(&(serde_json::to_string(&state(plan())).unwrap() + "\n"));
    assert_eq!(taker.reply(), "\"ready\"\n");
    wire.round_trip();
    assert!(requests.within(Duration::from_millis(300)).is_none(), "both processes would send");
    // The first process lets go, or is killed: its connection closes.
    assert_eq!(taker.code(), Some(0));
    assert_eq!((jobs(&nats, "web1"), jobs(&nats, "web2")), (1, 1));
    let subjects = [requests.next().subject, requests.next().subject];
    assert_eq!(subjects, ["deploy.test.web1", "deploy.test.web2"]);
    assert!(requests.within(Duration::from_millis(10)).is_none(), "nothing is sent twice");
}

#[test]
fn an_incomplete_state_is_not_taken_over() {
    let nats = NatsServer::start();
    let wire = RawClient::connect(&nats, "everything");
    let requests = wire.subscribe("deploy.test.>");
    let complete = serde_json::to_string(&state(plan())).unwrap();
    for length in [0, 1, complete.len() / 2, complete.len()] {
        let mut taker = Taker::start(&nats);
        taker.send(&complete[..length]);
        assert_eq!(taker.code(), Some(1), "{length} bytes");
    }
    let mut taker = Taker::start(&nats);
    taker.send("{\"plan\": 1}\n");
    assert!(taker.reply().starts_with("{\"failed\":\""));
    assert_eq!(taker.code(), Some(1));
    wire.round_trip();
    assert!(requests.within(Duration::from_millis(10)).is_none());
}

#[test]
fn a_batch_that_was_recorded_and_not_sent_is_sent_once() {
    let nats = NatsServer::start();
    let _hosts = hosts(&nats, "true");
    let mut plan = plan();
    plan.rollout.start_next_batch();
    let mut taker = Taker::start(&nats);
    taker.send(&(serde_json::to_string(&state(plan)).unwrap() + "\n"));
    taker.reply();
    assert_eq!(taker.code(), Some(0));
    assert_eq!((jobs(&nats, "web1"), jobs(&nats, "web2")), (1, 1));
}

#[test]
fn a_batch_that_runs_is_not_sent_again() {
    let nats = NatsServer::start();
    let hosts = hosts(&nats, &hold_in_phase("build"));
    let gates = hosts.each_ref().map(Gate::of);
    let mut plan = plan();
    plan.rollout.start_next_batch();
    let wire = RawClient::connect(&nats, "everything");
    let reports = wire.subscribe("deploy.responses.>");
    let request = serde_json::json!({
        "action": "build", "revision": "main", "reply_to": format!("deploy.responses.{}", plan.id), "id": plan.id,
    });
    wire.publish("deploy.test.web1", &request);
    while reports.next().body["status"] != "running" {}
    let requests = wire.subscribe("deploy.test.>");
    let mut taker = Taker::start(&nats);
    taker.send(&(serde_json::to_string(&state(plan)).unwrap() + "\n"));
    taker.reply();
    gates.iter().for_each(Gate::pass);
    assert_eq!(taker.code(), Some(0));
    assert_eq!((jobs(&nats, "web1"), jobs(&nats, "web2")), (1, 1));
    assert_eq!(requests.next().subject, "deploy.test.web2");
    assert!(requests.within(Duration::from_millis(10)).is_none());
}

/// Hands over to a shell script.
fn hand_over_to(script: &str, dir: &TempDir) -> Result<u32, HandoverError> {
    let args = ["-c", script].map(str::to_owned).to_vec();
    let runner = DetachedRunner { program: "/bin/sh".into(), args, log_dir: dir.path().join("logs") };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(runner.take_over(&state(plan()))).map(|process| process.pid)
}

#[test]
fn a_process_that_fails_takes_nothing_over() {
    let dir = TempDir::new().unwrap();
    for (script, expected) in [
        ("exit 3", "it has ended; its log says why"),
        ("read line; exit 0", "it has ended; its log says why"),
        ("read line; kill -9 $$", "it has ended; its log says why"),
        ("read line; echo '{\"failed\":\"no server\"}' >&0", "no server"),
        ("read line; echo 'hello' >&0; exec sleep 1000", "it has ended; its log says why"),
    ] {
        let error = hand_over_to(script, &dir).unwrap_err().to_string();
        assert_eq!(error, format!("the background process failed: {expected}"), "{script}");
    }
    let missing = DetachedRunner { program: "/nowhere".into(), args: Vec::new(), log_dir: dir.path().into() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let error = runtime.block_on(missing.take_over(&state(plan()))).unwrap_err().to_string();
    assert!(error.starts_with("could not start a background process: "), "{error}");
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let blocked = DetachedRunner { program: "/bin/true".into(), args: Vec::new(), log_dir: file };
    let error = runtime.block_on(blocked.take_over(&state(plan()))).unwrap_err().to_string();
    assert!(error.starts_with("could not create "), "{error}");
}

#[test]
fn a_process_that_is_refused_was_killed_before_the_connection_closes() {
    let dir = TempDir::new().unwrap();
    let eof = dir.path().join("eof");
    // It would continue when the connection closes.
    let script = format!("read line; echo nonsense >&0; read more; echo > {}", eof.display());
    hand_over_to(&script, &dir).unwrap_err();
    assert!(!eof.exists());
    // A process that is ready continues then.
    let script = format!("read line; echo '\"ready\"' >&0; read more; echo > {}", eof.display());
    hand_over_to(&script, &dir).unwrap();
    eventually("the end of the connection", || eof.exists().then_some(()));
}

#[test]
fn a_process_in_the_background_has_its_own_session_and_a_private_log() {
    use std::os::unix::fs::PermissionsExt;
    let nats = NatsServer::start();
    let _cleanup = Cleanup(nats.dir().to_owned());
    let hosts = hosts(&nats, &hold_in_phase("build"));
    let gates = hosts.each_ref().map(Gate::of);
    let mut command = operator(&nats, "tester");
    command.args(["deploy", "web1", "web2", "--no-pin", "--batch", "1", "--action", "build", "--detach"]);
    let started = run(command.args(["--output", "json"]), 0).json();
    let detached = started.iter().find(|line| line["event"] == "detached").unwrap()["value"].clone();
    let pid = detached["pid"].as_u64().unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<_> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    assert_eq!((fields[2], fields[3]), (&*pid.to_string(), &*pid.to_string()), "group and session");
    let log = detached["log"].as_str().unwrap();
    assert_eq!(std::fs::metadata(log).unwrap().permissions().mode() & 0o777, 0o600);
    gates.iter().for_each(Gate::pass);
    eventually("both jobs", || ((jobs(&nats, "web1"), jobs(&nats, "web2")) == (1, 1)).then_some(()));
}
