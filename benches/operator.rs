//! Duration of commands in scripts: `hosts` with 1,000 listeners, and `deploy` without changes to 100, each from the
//! start of the process to its exit.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench stops at the first error and prints its results"
)]

mod listeners;

use async_nats::Client;
use futures_util::StreamExt;
use homelab_deploy::demo::NatsServer;
use homelab_deploy::protocol::{
    Action, DISCOVER, DeployRequest, Id, Query, ReplyTo, Revision, reply_subject,
};
use listeners::{Idle, Listeners};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::runtime::Builder;
use tokio::task::JoinSet;

const PROGRAM: &str = env!("CARGO_BIN_EXE_homelab-deploy");
const ROUNDS: usize = 9;
const MANY: usize = 1000;
const SOME: usize = 100;
const HOSTS_BOUND: Duration = Duration::from_millis(400);
/// Bound as a factor of the baseline, plus a constant.
const DEPLOY_FACTOR: f64 = 10.0;
const DEPLOY_BESIDE: Duration = Duration::from_millis(100);

fn main() -> ExitCode {
    let runtime = Builder::new_multi_thread().worker_threads(2).max_blocking_threads(1).enable_all().build();
    runtime.unwrap().block_on(bench())
}

async fn bench() -> ExitCode {
    let memory = Some(PathBuf::from("/dev/shm")).filter(|path| path.is_dir());
    let directory = TempDir::new_in(memory.unwrap_or_else(std::env::temp_dir)).unwrap();
    let nats_server =
        NatsServer::start(&directory.path().join("nats"), "", Path::new(PROGRAM)).await.unwrap();
    let client = async_nats::connect(nats_server.url()).await.unwrap();
    let hosts = hosts(&nats_server, &client, directory.path()).await;
    let deploy = deploy(&nats_server, &client, directory.path()).await;
    nats_server.stop().await.unwrap();
    if hosts && deploy { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Measures `hosts` with a warm inventory; each result must be complete.
async fn hosts(nats_server: &NatsServer, client: &Client, directory: &Path) -> bool {
    let (state, home) = (directory.join("many"), directory.join("home-many"));
    let listeners = Listeners::start(nats_server.url(), client, MANY, &state, Arc::new(Idle)).await;
    let args = ["hosts", "--output", "json"];
    run(nats_server, &home, &args).await;
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let out = run(nats_server, &home, &args).await;
        rounds.push(start.elapsed());
        assert_eq!(out.matches("\"presence\":\"online\"").count(), MANY);
    }
    let baseline = median(gathered(client).await).0;
    listeners.stop().await;
    let (took, worst) = median(rounds);
    println!("hosts: {MANY} listeners listed in {took:.1?}, worst {worst:.1?}, bound {HOSTS_BOUND:?}");
    println!("  baseline, their answers to a bare client: {baseline:.1?}");
    took <= HOSTS_BOUND
}

/// Time until a bare client has received all replies.
async fn gathered(client: &Client) -> Vec<Duration> {
    let mut rounds = Vec::new();
    for n in 0..ROUNDS {
        let id = Id::new(format!("baseline-{n}")).unwrap();
        let mut answers = client.subscribe(reply_subject(&id)).await.unwrap();
        client.flush().await.unwrap();
        let start = Instant::now();
        client.publish(DISCOVER, Query::new(ReplyTo::replies(id)).encode().into()).await.unwrap();
        for _ in 0..MANY {
            answers.next().await.unwrap();
        }
        rounds.push(start.elapsed());
    }
    rounds
}

/// Measures `deploy` without changes, with a warm inventory.
async fn deploy(nats_server: &NatsServer, client: &Client, directory: &Path) -> bool {
    let baseline = median(exchanged(nats_server.url(), client).await).0;
    let (state, home) = (directory.join("some"), directory.join("home-some"));
    let listeners = Listeners::start(nats_server.url(), client, SOME, &state, Arc::new(Idle)).await;
    run(nats_server, &home, &["hosts"]).await;
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let out = run(nats_server, &home, &["deploy", "--all", "--tier", "test", "--output", "json"]).await;
        rounds.push(start.elapsed());
        assert_eq!(out.matches("\"result\":\"completed\"").count(), SOME);
    }
    listeners.stop().await;
    let (took, worst) = median(rounds);
    let bound = baseline.mul_f64(DEPLOY_FACTOR) + DEPLOY_BESIDE;
    println!("deploy: {SOME} listeners completed in {took:.1?}, worst {worst:.1?}, bound {bound:.1?}");
    println!("  baseline, a request to each of {SOME} bare clients and their three reports: {baseline:.1?}");
    took <= bound
}

/// Time of the same messages between bare clients: a request to each, and three reports from each.
async fn exchanged(url: &str, client: &Client) -> Vec<Duration> {
    let mut tasks = JoinSet::new();
    for n in 0..SOME {
        let peer = async_nats::connect(url).await.unwrap();
        let mut requests = peer.subscribe(format!("baseline.host{n}")).await.unwrap();
        peer.flush().await.unwrap();
        tasks.spawn(async move {
            let report = format!("{{\"hostname\":\"host{n}\",\"filler\":\"{}\"}}", "x".repeat(700));
            while let Some(message) = requests.next().await {
                let request: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
                let reply_to = request["reply_to"].as_str().unwrap().to_owned();
                for _ in 0..3 {
                    peer.publish(reply_to.clone(), report.clone().into()).await.unwrap();
                }
            }
        });
    }
    let mut rounds = Vec::new();
    for n in 0..ROUNDS {
        let id = Id::new(format!("exchange-{n}")).unwrap();
        let mut reports = client.subscribe(format!("deploy.responses.{id}")).await.unwrap();
        client.flush().await.unwrap();
        let request = DeployRequest::new(Action::Switch, Some(Revision::new("main").unwrap()), id).encode();
        let start = Instant::now();
        for host in 0..SOME {
            client.publish(format!("baseline.host{host}"), request.clone().into()).await.unwrap();
        }
        for _ in 0..SOME * 3 {
            reports.next().await.unwrap();
        }
        rounds.push(start.elapsed());
    }
    tasks.shutdown().await;
    rounds
}

/// Runs the program, which must succeed, and returns its output.
async fn run(nats_server: &NatsServer, home: &Path, args: &[&str]) -> String {
    let mut command = Command::new(PROGRAM);
    command.args(args).args(["--nats-url", nats_server.url()]);
    command.env("XDG_STATE_HOME", home).env("XDG_CONFIG_HOME", home);
    command.env_remove("HOMELAB_DEPLOY_NKEY_FILE").env_remove("HOMELAB_DEPLOY_CONTEXT");
    let output = command.output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The median and the maximum.
fn median(mut rounds: Vec<Duration>) -> (Duration, Duration) {
    rounds.sort_unstable();
    (rounds[rounds.len() / 2], rounds[rounds.len() - 1])
}
