//! Time of a deployment to a host with Docker Compose that has nothing to do, compared with `docker compose config --hash` of the same
//! services in the same run: a real docker daemon, the real Docker Compose, and the real listener. Needs root.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bench stops at the first error")]
#![expect(clippy::print_stdout, reason = "a bench prints its results")]

#[path = "../tests/common/mod.rs"]
mod common;
#[allow(dead_code, reason = "only the tests use the rest")]
#[path = "../tests/compose/daemon.rs"]
mod daemon;
#[allow(dead_code, reason = "only the tests use the rest")]
#[path = "../tests/compose/stage.rs"]
mod stage;

use serde_json::json;
use stage::{Stage, sleeper};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

const SERVICES: usize = 20;
const ROUNDS: usize = 5;
const BOUND: f64 = 1.5;

fn name(number: usize) -> String {
    format!("service{number}")
}

/// What a person would do to learn whether something differs: a call for each service, one after the other.
fn by_hand(stage: &Stage) -> Duration {
    let start = Instant::now();
    for name in (1..=SERVICES).map(name) {
        let directory = stage.root.path().join("repo/services").join(&name);
        let mut command = Command::new("docker");
        command.args(["compose", "--project-name", &name, "--project-directory"]).arg(&directory);
        command.arg("--file").arg(directory.join("docker-compose.yml"));
        command.args(["config", "--hash", "*"]).envs(stage.daemon.environment()).stdin(Stdio::null());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    start.elapsed()
}

fn deploy(stage: &Stage, id: &str) -> Duration {
    let start = Instant::now();
    let report = stage.deploy(id, json!({}));
    let took = start.elapsed();
    assert_eq!(report["status"], "completed", "{report:#}");
    let message = report["message"].as_str().unwrap();
    assert!(message.contains(&format!("{SERVICES} unchanged")), "{message}");
    took
}

fn median(mut rounds: Vec<(f64, Duration, Duration)>) -> (f64, Duration, Duration) {
    // Each round is compared with itself, because the machine's speed varies between rounds.
    rounds.sort_by(|a, b| a.0.total_cmp(&b.0));
    rounds[rounds.len() / 2]
}

fn main() -> ExitCode {
    let compose = sleeper("bb:1", "");
    let names: Vec<String> = (1..=SERVICES).map(name).collect();
    let services: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), compose.as_str())).collect();
    // Says why, if this machine cannot run it.
    let Some(stage) = Stage::new(&services) else { return ExitCode::SUCCESS };
    stage.completes("first");
    let mut is_within = true;
    for (what, is_new_commit) in [("the same commit", false), ("a commit that changes no service", true)] {
        let round = |round: usize| {
            if is_new_commit {
                stage.commit(&[("README", &format!("round {round}"))]);
            }
            let by_hand = by_hand(&stage);
            let took = deploy(&stage, &format!("{round}-{is_new_commit}"));
            (took.as_secs_f64() / by_hand.as_secs_f64(), took, by_hand)
        };
        let (factor, took, by_hand) = median((0..ROUNDS).map(round).collect());
        println!(
            "{SERVICES} services with nothing to do, {what}: {took:.2?}, {factor:.2} x the baseline, bound {BOUND} x"
        );
        println!("  baseline, `docker compose config --hash` of each service: {by_hand:.2?}");
        is_within &= factor <= BOUND;
    }
    if is_within { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
