//! Limits of the MCP server: start time, time to list 100 hosts, and memory, each compared with a baseline of the same
//! run.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench stops at the first error and prints its results"
)]

mod listeners;

use async_nats::Client;
use futures_util::StreamExt;
use homelab_deploy::activation::{Engine, Facts, JobEvents, JobFuture, JobSpec};
use homelab_deploy::demo::NatsServer;
use homelab_deploy::protocol::{Action, DISCOVER, Id, Query, ReplyTo, reply_subject};
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
/// Bounds: from a call of `list_hosts` to its result, and from the start to the response to `initialize`.
const LISTED: Duration = Duration::from_millis(400);
const STARTED: Duration = Duration::from_millis(50);
/// In KiB.
const RESIDENT: u64 = 20 * 1024;
const STARTS: usize = 21;
const COLD_CALLS: usize = 11;
const WARM_CALLS: usize = 50;

/// Writes a log and completes.
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

    fn run(&self, job: JobSpec, _: JobEvents, _: CancellationToken) -> JobFuture {
        Box::pin(async move {
            std::fs::write(job.dir.log(), "building linux-6.12.9.drv\n".repeat(8192)).unwrap();
            Ok("done".to_owned())
        })
    }
}

/// A client and the server that it started.
struct Session {
    child: Child,
    from: BufReader<ChildStdout>,
    calls: u64,
    /// Time from the start to the response to `initialize`.
    started: Duration,
}

impl Session {
    /// Starts a server with its inventory in `state`.
    fn start(url: &str, state: &Path) -> Self {
        let start_time = Instant::now();
        let mut child = Command::new(PROGRAM)
            .args(["mcp", "--nats-url", url])
            .env_remove("HOMELAB_DEPLOY_NKEY_FILE")
            .env("XDG_CONFIG_HOME", state)
            .env("XDG_STATE_HOME", state)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // The server logs each deployment.
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let from = BufReader::new(child.stdout.take().unwrap());
        let mut session = Self { child, from, calls: 0, started: Duration::ZERO };
        session.request(
            "initialize",
            &json!({
                "protocolVersion": "2025-11-25",
                "capabilities": {},
                "clientInfo": { "name": "bench", "version": "1" },
            }),
        );
        session.started = start_time.elapsed();
        session.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        session
    }

    fn send(&mut self, message: &Value) {
        let to = self.child.stdin.as_mut().unwrap();
        to.write_all(format!("{message}\n").as_bytes()).unwrap();
    }

    /// The result of a request, and the time until it arrived.
    fn request(&mut self, method: &str, params: &Value) -> (Value, Duration) {
        self.calls += 1;
        let start_time = Instant::now();
        self.send(&json!({ "jsonrpc": "2.0", "id": self.calls, "method": method, "params": params }));
        loop {
            let mut line = String::new();
            assert!(
                self.from.read_line(&mut line).unwrap() > 0,
                "the server ended before it answered {method}"
            );
            let took = start_time.elapsed();
            let mut answer: Value = serde_json::from_str(&line).unwrap();
            if answer["id"] == self.calls {
                assert!(answer["error"].is_null(), "{line}");
                return (answer["result"].take(), took);
            }
        }
    }

    /// The structured result of a tool, and its duration.
    fn call(&mut self, tool: &str, arguments: &Value) -> (Value, Duration) {
        let (mut result, time) = self.request("tools/call", &json!({ "name": tool, "arguments": arguments }));
        assert_eq!(result["isError"], false, "{result}");
        (result["structuredContent"].take(), time)
    }

    /// Time to list all hosts.
    fn list(&mut self) -> Duration {
        let (content, took) = self.call("list_hosts", &json!({}));
        let there = |host: &&Value| host["presence"] == "online";
        assert_eq!(content["hosts"].as_array().unwrap().iter().filter(there).count(), HOSTS);
        took
    }

    /// A value of the process's memory status in KiB: `VmRSS` is the current size, `VmHWM` the maximum.
    fn memory(&self, what: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(what)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Closes the input, which ends the server.
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

/// The median and the maximum of several rounds.
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

/// Time until a bare client has received the replies of all hosts.
async fn gather(client: &Client, round: usize) -> Duration {
    let id = Id::new(format!("baseline-{round}")).unwrap();
    let start_time = Instant::now();
    let answers = client.subscribe(reply_subject(&id)).await.unwrap();
    let ask = Query::new(ReplyTo::replies(id)).encode();
    client.publish(DISCOVER, ask.into()).await.unwrap();
    assert_eq!(answers.take(HOSTS).count().await, HOSTS);
    start_time.elapsed()
}

/// Time to run `--help`.
fn help() -> Duration {
    let start_time = Instant::now();
    let status = Command::new(PROGRAM).arg("--help").stdout(Stdio::null()).status();
    assert!(status.unwrap().success());
    start_time.elapsed()
}

/// Measures the start up to the response to `initialize`.
fn start(url: &str, directory: &Path) -> bool {
    let baseline = Times::of((0..STARTS).map(|_| help()));
    let took = Times::of((0..STARTS).map(|_| {
        let session = Session::start(url, directory);
        let took = session.started;
        session.end();
        took
    }));
    println!("mcp start: initialize answered in {took}, bound {STARTED:?}; baseline, --help: {baseline}");
    took.worst <= STARTED
}

/// Measures the first call of a session without known hosts.
fn cold(url: &str, directory: &Path, baseline: &Times) -> bool {
    let took = Times::of((0..COLD_CALLS).map(|round| {
        let mut session = Session::start(url, &directory.join(round.to_string()));
        let took = session.list();
        session.end();
        took
    }));
    println!(
        "mcp list_hosts: {HOSTS} unknown hosts in {took}, bound {LISTED:?}; baseline, a bare client: {baseline}\n  \
         250ms of that are the wait for unknown hosts"
    );
    took.worst <= LISTED
}

/// Measures many calls of one session, and its memory afterwards.
fn warm(url: &str, directory: &Path, baseline: &Times) -> bool {
    // The next session uses the inventory of this one.
    let mut first = Session::start(url, directory);
    first.list();
    first.end();
    let mut session = Session::start(url, directory);
    let before = session.memory("VmRSS");
    session.request("tools/list", &json!({}));
    session.call("deploy", &json!({ "all": true, "branch": "main" }));
    let took = Times::of((0..WARM_CALLS).map(|_| session.list()));
    for tool in ["host_status", "host_logs", "host_history"] {
        session.call(tool, &json!({ "hostname": "host0" }));
    }
    session.call("host_logs", &json!({ "hostname": "host0", "offset": 0, "lines": 1000 }));
    let [after, most] = ["VmRSS", "VmHWM"].map(|what| session.memory(what));
    session.end();
    println!(
        "mcp list_hosts: {HOSTS} known hosts in {took}, bound {LISTED:?}; baseline, a bare client: {baseline}\n\
         mcp memory: {after} KiB after {WARM_CALLS} lists of {HOSTS} hosts and a deployment to them, bound {RESIDENT} \
         KiB; baseline, after initialize: {before} KiB\n  \
         maximum {most} KiB"
    );
    took.worst <= LISTED && after <= RESIDENT
}

fn main() -> ExitCode {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let directory = TempDir::new().unwrap();
    let path = |name: &str| -> PathBuf { directory.path().join(name) };
    let (nats_server, client) = runtime.block_on(async {
        let nats_server = NatsServer::start(&path("nats"), "", Path::new(PROGRAM)).await.unwrap();
        let client = async_nats::connect(nats_server.url()).await.unwrap();
        (nats_server, client)
    });
    let listeners = runtime.block_on(async {
        Listeners::start(nats_server.url(), &client, HOSTS, &path("hosts"), Arc::new(Quick)).await
    });
    let baseline = Times::of((0..WARM_CALLS).map(|round| runtime.block_on(gather(&client, round))));

    let url = nats_server.url();
    let passed = [
        start(url, &path("start")),
        cold(url, &path("cold"), &baseline),
        warm(url, &path("warm"), &baseline),
    ];
    runtime.block_on(async {
        listeners.stop().await;
        nats_server.stop().await.unwrap();
    });
    if passed.contains(&false) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
