//! Time until 1,000 listeners have accepted one request, compared with the same exchange between bare clients.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench stops at the first error and prints its results"
)]

mod listeners;

use async_nats::Client;
use futures_util::StreamExt;
use homelab_deploy::protocol::{Action, DeployRequest, Id, Revision};
use listeners::{Idle, Listeners, until_all_answer};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

const HOSTS: usize = 1000;
const ROUNDS: usize = 9;
const BOUND: f64 = 3.0;

/// Sends one request and returns the time until `count` reports that contain `expected` have arrived. Each host sends
/// three reports.
async fn round(client: &Client, id: &str, subject: &str, expected: &str, count: usize) -> Duration {
    let mut reports = client.subscribe(format!("deploy.responses.{id}")).await.unwrap();
    client.flush().await.unwrap();
    let revision = Revision::new("main").unwrap();
    let request = DeployRequest::new(Action::Switch, Some(revision), Id::new(id).unwrap());
    let start = Instant::now();
    client.publish(subject.to_owned(), request.encode().into()).await.unwrap();
    let (mut seen, mut took) = (0, Duration::ZERO);
    // A round ends when all reports have arrived, so that none belongs to the next round.
    for _ in 0..HOSTS * 3 {
        let message = reports.next().await.unwrap();
        if seen < count && std::str::from_utf8(&message.payload).unwrap().contains(expected) {
            seen += 1;
            took = start.elapsed();
        }
    }
    took
}

/// The median of several rounds.
async fn measure(client: &Client, name: &str, subject: &str, expected: &str, count: usize) -> Duration {
    let mut rounds = Vec::new();
    for n in 0..ROUNDS {
        rounds.push(round(client, &format!("{name}-{n}"), subject, expected, count).await);
    }
    rounds.sort_unstable();
    rounds[ROUNDS / 2]
}

/// Bare clients that answer each request with three messages of the size of our reports.
async fn baseline(url: &str, client: &Client) -> Duration {
    let mut tasks = JoinSet::new();
    for n in 0..HOSTS {
        let peer = async_nats::connect(url).await.unwrap();
        let mut requests = peer.subscribe("baseline.all").await.unwrap();
        peer.flush().await.unwrap();
        tasks.spawn(async move {
            let filler = "x".repeat(700);
            let report =
                format!("{{\"hostname\":\"host{n}\",\"status\":\"accepted\",\"filler\":\"{filler}\"}}");
            while let Some(message) = requests.next().await {
                let request: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
                let reply_to = request["reply_to"].as_str().unwrap().to_owned();
                for _ in 0..3 {
                    peer.publish(reply_to.clone(), report.clone().into()).await.unwrap();
                }
            }
        });
    }
    let request = DeployRequest::new(Action::Switch, None, Id::new("warm").unwrap());
    until_all_answer(client, "baseline.all", &request.encode(), HOSTS).await;
    let took = measure(client, "baseline", "baseline.all", "accepted", HOSTS * 3).await;
    tasks.shutdown().await;
    took
}

/// Real listeners with their state in `state`: times until all have accepted and until all have completed.
async fn listeners(url: &str, client: &Client, name: &str, state: &Path) -> (Duration, Duration) {
    let listeners = Listeners::start(url, client, HOSTS, state, Arc::new(Idle)).await;
    let (all, accepted, completed) =
        ("deploy.test.all", "\"status\":\"accepted\"", "\"status\":\"completed\"");
    let until_accepted = measure(client, &format!("{name}-accepted"), all, accepted, HOSTS).await;
    let until_completed = measure(client, &format!("{name}-completed"), all, completed, HOSTS).await;
    listeners.stop().await;
    (until_accepted, until_completed)
}

/// A temporary directory, in `path` if that exists.
fn temp_dir(path: &str) -> TempDir {
    let path = Some(PathBuf::from(path)).filter(|path| path.is_dir());
    TempDir::new_in(path.unwrap_or_else(std::env::temp_dir)).unwrap()
}

/// Starts a NATS server that is killed on drop, and returns it with its URL and a client.
///
/// It runs in the session of this process, unlike the demo's server. Linux divides the processors between sessions
/// before it divides them between processes (`man 7 sched`, "The autogroup feature"). A server in its own session
/// preempts the listeners for almost every message, which says more about the scheduler than about the listeners.
async fn nats_server() -> (Child, String, Client) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let start = |program| {
        let mut command = Command::new(program);
        command.args(["-a", "127.0.0.1", "-p", &port]).stdin(Stdio::null()).stderr(Stdio::null());
        command.kill_on_drop(true).spawn()
    };
    // Debian installs it outside of the `PATH` of a normal user.
    let server = start("nats-server").or_else(|_| start("/usr/sbin/nats-server")).unwrap();
    let url = format!("nats://127.0.0.1:{port}");
    let connect = async {
        loop {
            match async_nats::connect(&url).await {
                Ok(client) => break client,
                Err(_) => sleep(Duration::from_millis(10)).await,
            }
        }
    };
    let client = timeout(Duration::from_secs(10), connect).await.unwrap();
    (server, url, client)
}

fn main() -> ExitCode {
    // In production, a thousand hosts do not share two cores. Their writes to disk must not delay hosts that have not
    // replied yet.
    let runtime = Builder::new_multi_thread().worker_threads(2).max_blocking_threads(1).enable_all().build();
    runtime.unwrap().block_on(bench())
}

async fn bench() -> ExitCode {
    let (memory, disk) = (temp_dir("/dev/shm"), temp_dir(""));
    let (_nats_server, url, client) = nats_server().await;

    let baseline = baseline(&url, &client).await;
    let (accepted, completed) = listeners(&url, &client, "memory", memory.path()).await;
    let (accepted_disk, completed_disk) = listeners(&url, &client, "disk", disk.path()).await;
    let factor = accepted.as_secs_f64() / baseline.as_secs_f64();
    println!(
        "dispatch: {HOSTS} listeners accepted in {accepted:.1?}, {factor:.2} x the baseline, bound {BOUND} x"
    );
    println!("  baseline, bare clients with three reports each: {baseline:.1?}");
    println!("  all completed in {completed:.1?}");
    println!("  with the state on disk: accepted in {accepted_disk:.1?}, completed in {completed_disk:.1?}");
    if factor > BOUND { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
