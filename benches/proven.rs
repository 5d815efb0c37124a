//! What proof costs an operator: `hosts` over 1,000 listeners that sign, and the checks of 1,000 signed replies beside the bare
//! verifications of the library.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench ends at the first fault and prints its figures"
)]

mod listeners;

use homelab_deploy::bus::Seed;
use homelab_deploy::demo::Broker;
use homelab_deploy::keys;
use homelab_deploy::protocol::{
    Answer, HostAnswer, Name, PublicKey, Purpose, decode_signature, encode_signature, signed_bytes,
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
/// Of the floor.
const CHECK_FACTOR: f64 = 2.0;

fn main() -> ExitCode {
    let checks = checks();
    let runtime = Builder::new_multi_thread().worker_threads(2).max_blocking_threads(1).enable_all().build();
    let hosts = runtime.unwrap().block_on(hosts());
    if checks && hosts { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// `hosts` with a warm inventory that knows the key of each host, complete each time.
async fn hosts() -> bool {
    let memory = Some(PathBuf::from("/dev/shm")).filter(|place| place.is_dir());
    let folder = TempDir::new_in(memory.unwrap_or_else(std::env::temp_dir)).unwrap();
    let (folder, home) = (folder.path(), folder.path().join("home"));
    let broker = Broker::start(&folder.join("broker"), "", Path::new(PROGRAM)).await.unwrap();
    let client = async_nats::connect(broker.url()).await.unwrap();
    let seed = |n: usize| {
        let file = folder.join(format!("{n}.nkey"));
        keys::Seed::generate().unwrap().write_new(&file).unwrap();
        Some(Seed::read(&file).unwrap())
    };
    let seeds = (0..MANY).map(seed).collect();
    let listeners =
        Listeners::start_with(broker.url(), &client, seeds, &folder.join("state"), Arc::new(Idle)).await;
    run(&broker, &home).await;
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let out = run(&broker, &home).await;
        rounds.push(begun.elapsed());
        assert_eq!(out.matches("\"proven\":true").count(), MANY);
        assert_eq!(out.matches("\"presence\":\"online\"").count(), MANY);
    }
    listeners.stop().await;
    broker.stop().await.unwrap();
    let (took, worst) = median(rounds);
    println!("hosts: {MANY} proven listeners listed in {took:.1?}, worst {worst:.1?}, bound {HOSTS_BOUND:?}");
    took <= HOSTS_BOUND
}

/// A reply as it arrives.
struct Reply {
    subject: String,
    payload: Vec<u8>,
    key: String,
    signature: String,
}

/// The checks of signed replies, each from its headers.
fn checks() -> bool {
    let mut replies = Vec::new();
    let mut bare = Vec::new();
    for n in 0..MANY {
        let host = Name::new(format!("host{n}")).unwrap();
        let (subject, pair) = (format!("deploy.responses.ask.q.{host}"), KeyPair::new_user());
        let mut answer = HostAnswer::new(host, Name::new("test").unwrap(), None, vec![subject.clone()]);
        answer.warnings = vec!["w".repeat(500)];
        let payload = Answer::Host(Box::new(answer)).encode();
        let content = signed_bytes(Purpose::Reply, None, &subject, &payload);
        let signature = pair.sign(&content).unwrap();
        let (key, text) = (pair.public_key(), encode_signature(&signature));
        bare.push((KeyPair::from_public_key(&key).unwrap(), content, signature));
        replies.push(Reply { subject, payload, key, signature: text });
    }
    let (mut checked, mut floor) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        for reply in &replies {
            let content = signed_bytes(Purpose::Reply, None, &reply.subject, &reply.payload);
            let signature = decode_signature(&reply.signature).unwrap();
            assert!(PublicKey::parse(&reply.key).unwrap().has_signed(&content, &signature));
        }
        checked.push(begun.elapsed());
        let begun = Instant::now();
        for (pair, content, signature) in &bare {
            pair.verify(content, signature).unwrap();
        }
        floor.push(begun.elapsed());
    }
    let ((took, worst), (floor, _)) = (median(checked), median(floor));
    let bound = floor.mul_f64(CHECK_FACTOR);
    println!("replies: {MANY} signatures checked in {took:.1?}, worst {worst:.1?}, bound {bound:.1?}");
    println!("  floor, as many verifications by the library: {floor:.1?}");
    took <= bound
}

/// Lists the hosts; gives what was printed.
async fn run(broker: &Broker, home: &Path) -> String {
    let mut command = Command::new(PROGRAM);
    command.args(["hosts", "--output", "json", "--nats-url", broker.url()]);
    command.env("XDG_STATE_HOME", home).env("XDG_CONFIG_HOME", home);
    for variable in ["NKEY_FILE", "CONTEXT", "UNPROVEN", "FLEET_NAME"] {
        command.env_remove(format!("HOMELAB_DEPLOY_{variable}"));
    }
    let output = command.output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The median and the worst.
fn median(mut rounds: Vec<Duration>) -> (Duration, Duration) {
    rounds.sort_unstable();
    (rounds[rounds.len() / 2], rounds[rounds.len() - 1])
}
