//! What the MCP server promises: how soon it is there, how soon it lists 100 hosts, and its memory, each beside its
//! floor of the same run.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench ends at the first fault and prints its figures"
)]

mod listeners;

use async_nats::Client;
use futures_util::StreamExt;
use homelab_deploy::activation::{Engine, Facts, Order, Steps, Work};
use homelab_deploy::demo::Broker;
use homelab_deploy::protocol::{Action, Ask, DISCOVER, Id, ReplyTo, of_answer};
use listeners::Listeners;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;

const PROGRAM: &str = env!("CARGO_BIN_EXE_homelab-deploy");
const HOSTS: usize = 100;
/// The bounds: from a call of `list_hosts` to its result, and from the start to the answered `initialize`.
const LISTED: Duration = Duration::from_millis(400);
const STARTED: Duration = Duration::from_millis(50);
/// KiB.
const RESIDENT: u64 = 20 * 1024;
const STARTS: usize = 21;
const COLD_CALLS: usize = 11;
const WARM_CALLS: usize = 50;

/// Writes a log and is done.
struct Quick;

impl Engine for Quick {
    fn actions(&self) -> Vec<Action> {
        Action::BASE.to_vec()
    }

    fn facts(&self) -> Facts {
        let system =
            "/nix/store/0c5yz8ba1mqfk9a6lpkr4p9vxy2w7d3h-nixos-system-host-26.05.20260401.3f2a91c0d5e8";
        Facts {
            os_version: Some("NixOS 26.05 (Yarara)".to_owned()),
            system: Some(system.to_owned()),
            booted_system: Some(system.to_owned()),
            generation: Some(214),
            reboot_needed: Some(false),
            nix_free_bytes: Some(50 << 30),
            boot_free_bytes: Some(200 << 20),
            ..Facts::default()
        }
    }

    fn work(&self, order: Order, _: Steps, _: CancellationToken) -> Work {
        Box::pin(async move {
            std::fs::write(order.folder.log(), "building linux-6.12.9.drv\n".repeat(8192)).unwrap();
            Ok("done".to_owned())
        })
    }
}

/// A client, and the server that it has started.
struct Session {
    child: Child,
    from: BufReader<ChildStdout>,
    calls: u64,
    /// How long the server took to answer `initialize`.
    started: Duration,
}

impl Session {
    /// Starts a server that keeps its roster in `state`.
    fn start(url: &str, state: &Path) -> Self {
        let begun = Instant::now();
        let mut child = Command::new(PROGRAM)
            .args(["mcp", "--nats-url", url])
            .env_remove("HOMELAB_DEPLOY_NKEY_FILE")
            .env("XDG_CONFIG_HOME", state)
            .env("XDG_STATE_HOME", state)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // It logs each deployment.
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let from = BufReader::new(child.stdout.take().unwrap());
        let mut session = Self { child, from, calls: 0, started: Duration::ZERO };
        session.ask(
            "initialize",
            &json!({
                "protocolVersion": "2025-11-25",
                "capabilities": {},
                "clientInfo": { "name": "bench", "version": "1" },
            }),
        );
        session.started = begun.elapsed();
        session.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        session
    }

    fn send(&mut self, message: &Value) {
        let to = self.child.stdin.as_mut().unwrap();
        to.write_all(format!("{message}\n").as_bytes()).unwrap();
    }

    /// The result of a request, and how long it took to come.
    fn ask(&mut self, method: &str, params: &Value) -> (Value, Duration) {
        self.calls += 1;
        let begun = Instant::now();
        self.send(&json!({ "jsonrpc": "2.0", "id": self.calls, "method": method, "params": params }));
        loop {
            let mut line = String::new();
            assert!(self.from.read_line(&mut line).unwrap() > 0, "it ended before it answered {method}");
            let took = begun.elapsed();
            let mut answer: Value = serde_json::from_str(&line).unwrap();
            if answer["id"] == self.calls {
                assert!(answer["error"].is_null(), "{line}");
                return (answer["result"].take(), took);
            }
        }
    }

    /// What a tool has told, and how long it took.
    fn call(&mut self, tool: &str, arguments: &Value) -> (Value, Duration) {
        let (mut result, time) = self.ask("tools/call", &json!({ "name": tool, "arguments": arguments }));
        assert_eq!(result["isError"], false, "{result}");
        (result["structuredContent"].take(), time)
    }

    /// How long all hosts took to be listed.
    fn list(&mut self) -> Duration {
        let (told, took) = self.call("list_hosts", &json!({}));
        let there = |host: &&Value| host["presence"] == "online";
        assert_eq!(told["hosts"].as_array().unwrap().iter().filter(there).count(), HOSTS);
        took
    }

    /// A line of its memory in KiB: `VmRSS` is what it has, `VmHWM` the most it ever had.
    fn memory(&self, what: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(what)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Goes away, which ends it.
    fn end(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The median and the worst of several rounds.
struct Times {
    median: Duration,
    worst: Duration,
}

impl Times {
    fn of(rounds: impl IntoIterator<Item = Duration>) -> Self {
        let mut rounds: Vec<_> = rounds.into_iter().collect();
        rounds.sort_unstable();
        Self { median: rounds[rounds.len() / 2], worst: rounds[rounds.len() - 1] }
    }
}

impl std::fmt::Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "median {:.1?}, worst {:.1?}", self.median, self.worst)
    }
}

/// How long a bare client waits until the last host has answered.
async fn gather(client: &Client, round: usize) -> Duration {
    let id = Id::new(format!("floor-{round}")).unwrap();
    let begun = Instant::now();
    let answers = client.subscribe(of_answer(&id)).await.unwrap();
    let ask = Ask::new(ReplyTo::answers(id)).encode();
    client.publish(DISCOVER, ask.into()).await.unwrap();
    assert_eq!(answers.take(HOSTS).count().await, HOSTS);
    begun.elapsed()
}

/// How long our program takes to print its help.
fn help() -> Duration {
    let begun = Instant::now();
    let status = Command::new(PROGRAM).arg("--help").stdout(Stdio::null()).status();
    assert!(status.unwrap().success());
    begun.elapsed()
}

/// From the start to the answered `initialize`.
fn start(url: &str, folder: &Path) -> bool {
    let floor = Times::of((0..STARTS).map(|_| help()));
    let took = Times::of((0..STARTS).map(|_| {
        let session = Session::start(url, folder);
        let took = session.started;
        session.end();
        took
    }));
    println!("mcp start: initialize answered in {took}, bound {STARTED:?}; floor, --help: {floor}");
    took.worst <= STARTED
}

/// The first call of each session, where no host was seen before.
fn cold(url: &str, folder: &Path, floor: &Times) -> bool {
    let took = Times::of((0..COLD_CALLS).map(|round| {
        let mut session = Session::start(url, &folder.join(round.to_string()));
        let took = session.list();
        session.end();
        took
    }));
    println!(
        "mcp list_hosts: {HOSTS} unknown hosts in {took}, bound {LISTED:?}; floor, a bare client: {floor}\n  \
         of that, 250ms are the wait for hosts that nobody knows"
    );
    took.worst <= LISTED
}

/// Many calls of one session, and its memory afterwards.
fn warm(url: &str, folder: &Path, floor: &Times) -> bool {
    // Its roster stays for the next one.
    let mut first = Session::start(url, folder);
    first.list();
    first.end();
    let mut session = Session::start(url, folder);
    let before = session.memory("VmRSS");
    session.ask("tools/list", &json!({}));
    session.call("deploy", &json!({ "all": true, "branch": "main" }));
    let took = Times::of((0..WARM_CALLS).map(|_| session.list()));
    for tool in ["host_status", "host_logs", "host_history"] {
        session.call(tool, &json!({ "hostname": "host0" }));
    }
    session.call("host_logs", &json!({ "hostname": "host0", "offset": 0, "lines": 1000 }));
    let [after, most] = ["VmRSS", "VmHWM"].map(|what| session.memory(what));
    session.end();
    println!(
        "mcp list_hosts: {HOSTS} known hosts in {took}, bound {LISTED:?}; floor, a bare client: {floor}\n\
         mcp memory: {after} KiB after {WARM_CALLS} lists of {HOSTS} hosts and a deployment to them, bound {RESIDENT} \
         KiB; floor, after initialize: {before} KiB\n  \
         at most ever {most} KiB"
    );
    took.worst <= LISTED && after <= RESIDENT
}

fn main() -> ExitCode {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let folder = TempDir::new().unwrap();
    let place = |name: &str| -> PathBuf { folder.path().join(name) };
    let (broker, client) = runtime.block_on(async {
        let broker = Broker::start(&place("broker"), "", Path::new(PROGRAM)).await.unwrap();
        let client = async_nats::connect(broker.url()).await.unwrap();
        (broker, client)
    });
    let listeners = runtime.block_on(async {
        Listeners::start(broker.url(), &client, HOSTS, &place("hosts"), Arc::new(Quick)).await
    });
    let floor = Times::of((0..WARM_CALLS).map(|round| runtime.block_on(gather(&client, round))));

    let url = broker.url();
    let kept =
        [start(url, &place("start")), cold(url, &place("cold"), &floor), warm(url, &place("warm"), &floor)];
    runtime.block_on(async {
        listeners.stop().await;
        broker.stop().await.unwrap();
    });
    if kept.contains(&false) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
