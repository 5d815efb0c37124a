//! Cost of signatures for an operator: `hosts` with 1,000 listeners that sign, and checking 1,000 signed replies,
//! compared with the library's verification alone.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench stops at the first error and prints its results"
)]

mod listeners;

use homelab_deploy::demo::NatsServer;
use homelab_deploy::keys;
use homelab_deploy::nats::Nkey;
use homelab_deploy::protocol::{
    Name, Presence, PublicKey, Purpose, QueryReply, decode_signature, encode_signature, signed_bytes,
};
use listeners::{Idle, Listeners};
use nkeys::KeyPair;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::runtime::Builder;

const PROGRAM: &str = env!("CARGO_BIN_EXE_homelab-deploy");
const ROUNDS: usize = 9;
const MANY: usize = 1000;
const HOSTS_BOUND: Duration = Duration::from_millis(400);
/// As a factor of the baseline.
const CHECK_FACTOR: f64 = 2.0;

fn main() -> ExitCode {
    let checks = checks();
    let runtime = Builder::new_multi_thread().worker_threads(2).max_blocking_threads(1).enable_all().build();
    let hosts = runtime.unwrap().block_on(hosts());
    if checks && hosts { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Measures `hosts` with a warm inventory that contains each host's key; each result must be complete.
async fn hosts() -> bool {
    let memory = Some(PathBuf::from("/dev/shm")).filter(|path| path.is_dir());
    let directory = TempDir::new_in(memory.unwrap_or_else(std::env::temp_dir)).unwrap();
    let (directory, home) = (directory.path(), directory.path().join("home"));
    let nats_server = NatsServer::start(&directory.join("nats"), "", Path::new(PROGRAM)).await.unwrap();
    let client = async_nats::connect(nats_server.url()).await.unwrap();
    let seed = |n: usize| {
        let file = directory.join(format!("{n}.nkey"));
        keys::UserSeed::generate().unwrap().write_new(&file).unwrap();
        Some(Nkey::read(&file).unwrap())
    };
    let seeds = (0..MANY).map(seed).collect();
    let listeners =
        Listeners::start_with(nats_server.url(), &client, seeds, &directory.join("state"), Arc::new(Idle))
            .await;
    run(&nats_server, &home).await;
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let out = run(&nats_server, &home).await;
        rounds.push(start.elapsed());
        assert_eq!(out.matches("\"proven\":true").count(), MANY);
        assert_eq!(out.matches("\"presence\":\"online\"").count(), MANY);
    }
    listeners.stop().await;
    nats_server.stop().await.unwrap();
    let (took, worst) = median(rounds);
    println!("hosts: {MANY} proven listeners listed in {took:.1?}, worst {worst:.1?}, bound {HOSTS_BOUND:?}");
    took <= HOSTS_BOUND
}

/// A reply as received.
struct Reply {
    subject: String,
    payload: Vec<u8>,
    key: String,
    signature: String,
}

/// Measures the checks of signed replies, each from its headers.
fn checks() -> bool {
    let mut replies = Vec::new();
    let mut bare = Vec::new();
    for n in 0..MANY {
        let host = Name::new(format!("host{n}")).unwrap();
        let (subject, pair) = (format!("deploy.responses.ask.q.{host}"), KeyPair::new_user());
        let mut answer = Presence::new(host, Name::new("test").unwrap(), None, vec![subject.clone()]);
        answer.warnings = vec!["w".repeat(500)];
        let payload = QueryReply::Host(Box::new(answer)).encode();
        let content = signed_bytes(Purpose::Reply, None, &subject, &payload);
        let signature = pair.sign(&content).unwrap();
        let (key, text) = (pair.public_key(), encode_signature(&signature));
        bare.push((KeyPair::from_public_key(&key).unwrap(), content, signature));
        replies.push(Reply { subject, payload, key, signature: text });
    }
    let (mut checked, mut baseline) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for reply in &replies {
            let content = signed_bytes(Purpose::Reply, None, &reply.subject, &reply.payload);
            let signature = decode_signature(&reply.signature).unwrap();
            assert!(PublicKey::parse(&reply.key).unwrap().has_signed(&content, &signature));
        }
        checked.push(start.elapsed());
        let start = Instant::now();
        for (pair, content, signature) in &bare {
            pair.verify(content, signature).unwrap();
        }
        baseline.push(start.elapsed());
    }
    let ((took, worst), (baseline, _)) = (median(checked), median(baseline));
    let bound = baseline.mul_f64(CHECK_FACTOR);
    println!("replies: {MANY} signatures checked in {took:.1?}, worst {worst:.1?}, bound {bound:.1?}");
    println!("  baseline, as many verifications by the library: {baseline:.1?}");
    took <= bound
}

/// Lists the hosts and returns the output.
async fn run(nats_server: &NatsServer, home: &Path) -> String {
    let mut command = Command::new(PROGRAM);
    command.args(["hosts", "--output", "json", "--nats-url", nats_server.url()]);
    command.env("XDG_STATE_HOME", home).env("XDG_CONFIG_HOME", home);
    for variable in ["NKEY_FILE", "CONTEXT", "UNPROVEN", "FLEET_NAME"] {
        command.env_remove(format!("HOMELAB_DEPLOY_{variable}"));
    }
    let output = command.output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The median and the maximum.
fn median(mut rounds: Vec<Duration>) -> (Duration, Duration) {
    rounds.sort_unstable();
    (rounds[rounds.len() / 2], rounds[rounds.len() - 1])
}
