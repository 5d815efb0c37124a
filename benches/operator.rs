//! What operators who script wait for: `hosts` over 1,000 listeners, and `deploy` of nothing to 100, each from the start of the
//! process to its exit.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench ends at the first fault and prints its figures"
)]

mod listeners;

use async_nats::Client;
use futures_util::StreamExt;
use homelab_deploy::demo::Broker;
use homelab_deploy::protocol::{Action, Ask, DISCOVER, DeployRequest, Id, ReplyTo, Revision, of_answer};
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
/// Of the floor, and beside it.
const DEPLOY_FACTOR: f64 = 10.0;
const DEPLOY_BESIDE: Duration = Duration::from_millis(100);

fn main() -> ExitCode {
    let runtime = Builder::new_multi_thread().worker_threads(2).max_blocking_threads(1).enable_all().build();
    runtime.unwrap().block_on(bench())
}

async fn bench() -> ExitCode {
    let memory = Some(PathBuf::from("/dev/shm")).filter(|place| place.is_dir());
    let folder = TempDir::new_in(memory.unwrap_or_else(std::env::temp_dir)).unwrap();
    let broker = Broker::start(&folder.path().join("broker"), "", Path::new(PROGRAM)).await.unwrap();
    let client = async_nats::connect(broker.url()).await.unwrap();
    let hosts = hosts(&broker, &client, folder.path()).await;
    let deploy = deploy(&broker, &client, folder.path()).await;
    broker.stop().await.unwrap();
    if hosts && deploy { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// `hosts` with a warm roster, complete each time.
async fn hosts(broker: &Broker, client: &Client, folder: &Path) -> bool {
    let (state, home) = (folder.join("many"), folder.join("home-many"));
    let listeners = Listeners::start(broker.url(), client, MANY, &state, Arc::new(Idle)).await;
    let args = ["hosts", "--output", "json"];
    run(broker, &home, &args).await;
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let out = run(broker, &home, &args).await;
        rounds.push(begun.elapsed());
        assert_eq!(out.matches("\"presence\":\"online\"").count(), MANY);
    }
    let floor = median(gathered(client).await).0;
    listeners.stop().await;
    let (took, worst) = median(rounds);
    println!("hosts: {MANY} listeners listed in {took:.1?}, worst {worst:.1?}, bound {HOSTS_BOUND:?}");
    println!("  floor, their answers to a bare client: {floor:.1?}");
    took <= HOSTS_BOUND
}

/// How long all answers take to a client that does nothing with them.
async fn gathered(client: &Client) -> Vec<Duration> {
    let mut rounds = Vec::new();
    for n in 0..ROUNDS {
        let id = Id::new(format!("floor-{n}")).unwrap();
        let mut answers = client.subscribe(of_answer(&id)).await.unwrap();
        client.flush().await.unwrap();
        let begun = Instant::now();
        client.publish(DISCOVER, Ask::new(ReplyTo::answers(id)).encode().into()).await.unwrap();
        for _ in 0..MANY {
            answers.next().await.unwrap();
        }
        rounds.push(begun.elapsed());
    }
    rounds
}

/// `deploy` of nothing with a warm roster.
async fn deploy(broker: &Broker, client: &Client, folder: &Path) -> bool {
    let floor = median(exchanged(broker.url(), client).await).0;
    let (state, home) = (folder.join("some"), folder.join("home-some"));
    let listeners = Listeners::start(broker.url(), client, SOME, &state, Arc::new(Idle)).await;
    run(broker, &home, &["hosts"]).await;
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let out = run(broker, &home, &["deploy", "--all", "--tier", "test", "--output", "json"]).await;
        rounds.push(begun.elapsed());
        assert_eq!(out.matches("\"verdict\":\"completed\"").count(), SOME);
    }
    listeners.stop().await;
    let (took, worst) = median(rounds);
    let bound = floor.mul_f64(DEPLOY_FACTOR) + DEPLOY_BESIDE;
    println!("deploy: {SOME} listeners completed in {took:.1?}, worst {worst:.1?}, bound {bound:.1?}");
    println!("  floor, a request to each of {SOME} bare clients and their three reports: {floor:.1?}");
    took <= bound
}

/// How long the same messages take between bare clients: a request to each, three reports from each.
async fn exchanged(url: &str, client: &Client) -> Vec<Duration> {
    let mut tasks = JoinSet::new();
    for n in 0..SOME {
        let peer = async_nats::connect(url).await.unwrap();
        let mut requests = peer.subscribe(format!("floor.host{n}")).await.unwrap();
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
        let begun = Instant::now();
        for host in 0..SOME {
            client.publish(format!("floor.host{host}"), request.clone().into()).await.unwrap();
        }
        for _ in 0..SOME * 3 {
            reports.next().await.unwrap();
        }
        rounds.push(begun.elapsed());
    }
    tasks.shutdown().await;
    rounds
}

/// Runs the program to its end, which must be a good one; gives what it printed.
async fn run(broker: &Broker, home: &Path, args: &[&str]) -> String {
    let mut command = Command::new(PROGRAM);
    command.args(args).args(["--nats-url", broker.url()]);
    command.env("XDG_STATE_HOME", home).env("XDG_CONFIG_HOME", home);
    command.env_remove("HOMELAB_DEPLOY_NKEY_FILE").env_remove("HOMELAB_DEPLOY_CONTEXT");
    let output = command.output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The median and the worst.
fn median(mut rounds: Vec<Duration>) -> (Duration, Duration) {
    rounds.sort_unstable();
    (rounds[rounds.len() / 2], rounds[rounds.len() - 1])
}
