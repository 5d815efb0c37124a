//! How long until 1,000 listeners have accepted one request, beside the same exchange between bare clients.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench ends at the first fault and prints its figures"
)]

mod listeners;

use async_nats::Client;
use futures_util::StreamExt;
use homelab_deploy::demo::Broker;
use homelab_deploy::protocol::{Action, DeployRequest, Id, Revision};
use listeners::{Idle, Listeners, until_all_answer};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::runtime::Builder;
use tokio::task::JoinSet;

const HOSTS: usize = 1000;
const ROUNDS: usize = 9;
const BOUND: f64 = 3.0;

/// Sends one request and gives the time until `count` of the three reports of each host are in that hold `wanted`.
async fn round(client: &Client, id: &str, subject: &str, wanted: &str, count: usize) -> Duration {
    let mut reports = client.subscribe(format!("deploy.responses.{id}")).await.unwrap();
    client.flush().await.unwrap();
    let revision = Revision::new("main").unwrap();
    let request = DeployRequest::new(Action::Switch, Some(revision), Id::new(id).unwrap());
    let begun = Instant::now();
    client.publish(subject.to_owned(), request.encode().into()).await.unwrap();
    let (mut seen, mut took) = (0, Duration::ZERO);
    // Every round ends when all reports are in, so that none runs into the next.
    for _ in 0..HOSTS * 3 {
        let message = reports.next().await.unwrap();
        if seen < count && std::str::from_utf8(&message.payload).unwrap().contains(wanted) {
            seen += 1;
            took = begun.elapsed();
        }
    }
    took
}

/// The median of several rounds.
async fn measure(client: &Client, name: &str, subject: &str, wanted: &str, count: usize) -> Duration {
    let mut rounds = Vec::new();
    for n in 0..ROUNDS {
        rounds.push(round(client, &format!("{name}-{n}"), subject, wanted, count).await);
    }
    rounds.sort_unstable();
    rounds[ROUNDS / 2]
}

/// Bare clients that each answer a request with three messages of the size of our reports.
async fn floor(url: &str, client: &Client) -> Duration {
    let mut tasks = JoinSet::new();
    for n in 0..HOSTS {
        let peer = async_nats::connect(url).await.unwrap();
        let mut requests = peer.subscribe("floor.all").await.unwrap();
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
    until_all_answer(client, "floor.all", &request.encode(), HOSTS).await;
    let took = measure(client, "floor", "floor.all", "accepted", HOSTS * 3).await;
    tasks.shutdown().await;
    took
}

/// Real listeners with their state in `state`: until all have accepted, and until all have completed.
async fn listeners(url: &str, client: &Client, name: &str, state: &Path) -> (Duration, Duration) {
    let listeners = Listeners::start(url, client, HOSTS, state, Arc::new(Idle)).await;
    let (all, accepted, completed) =
        ("deploy.test.all", "\"status\":\"accepted\"", "\"status\":\"completed\"");
    let until_accepted = measure(client, &format!("{name}-accepted"), all, accepted, HOSTS).await;
    let until_completed = measure(client, &format!("{name}-completed"), all, completed, HOSTS).await;
    listeners.stop().await;
    (until_accepted, until_completed)
}

/// A temporary folder, in `place` where that exists.
fn folder(place: &str) -> TempDir {
    let place = Some(PathBuf::from(place)).filter(|place| place.is_dir());
    TempDir::new_in(place.unwrap_or_else(std::env::temp_dir)).unwrap()
}

fn main() -> ExitCode {
    // A thousand hosts share this process and two cores, where each has its own: their writes to disk must not push
    // aside those that have not answered yet.
    let runtime = Builder::new_multi_thread().worker_threads(2).max_blocking_threads(1).enable_all().build();
    runtime.unwrap().block_on(bench())
}

async fn bench() -> ExitCode {
    let (memory, disk) = (folder("/dev/shm"), folder(""));
    let program = Path::new(env!("CARGO_BIN_EXE_homelab-deploy"));
    let broker = Broker::start(&disk.path().join("broker"), "", program).await.unwrap();
    let client = async_nats::connect(broker.url()).await.unwrap();

    let floor = floor(broker.url(), &client).await;
    let (accepted, completed) = listeners(broker.url(), &client, "memory", memory.path()).await;
    let (accepted_disk, completed_disk) = listeners(broker.url(), &client, "disk", disk.path()).await;
    let factor = accepted.as_secs_f64() / floor.as_secs_f64();
    println!(
        "dispatch: {HOSTS} listeners accepted in {accepted:.1?}, {factor:.2} x the floor, bound {BOUND} x"
    );
    println!("  floor, bare clients with three reports each: {floor:.1?}");
    println!("  all completed in {completed:.1?}");
    println!("  with the state on disk: accepted in {accepted_disk:.1?}, completed in {completed_disk:.1?}");
    broker.stop().await.unwrap();
    if factor > BOUND { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
