//! Time from a request to the activation of a closure that is already built, compared with the share of git and nix in
//! the same run: real nix, a real git repository, a real NATS server, no systemd.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bench stops at the first error")]
#![expect(clippy::print_stdout, reason = "a bench prints its results")]

#[path = "../tests/common/mod.rs"]
mod common;
#[allow(dead_code, reason = "only the tests use the rest")]
#[path = "../tests/activation/stage.rs"]
mod stage;

use common::Repo;
use serde_json::json;
use stage::{SWITCH, Stage, flake};
use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{SystemTime, UNIX_EPOCH};

const ROUNDS: usize = 9;
/// Maximum time beyond git and nix, in milliseconds.
const BOUND: f64 = 300.0;
/// Programs that count as git's and nix's share; each call is recorded with its start and end.
const PROGRAMS: [&str; 4] = ["git", "nix", "nix-store", "nix-env"];

/// One round, in milliseconds.
#[derive(Debug, Clone, Copy)]
struct Round {
    whole: f64,
    baseline: f64,
}

impl Round {
    fn ours(self) -> f64 {
        self.whole - self.baseline
    }
}

fn main() -> ExitCode {
    let memory = Path::new("/dev/shm");
    if env::var_os("TMPDIR").is_none() && memory.is_dir() {
        // On a disk, the time of each sync would dominate.
        let again = Command::new(env::current_exe().unwrap()).env("TMPDIR", memory).status().unwrap();
        return if again.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let repo = Repo::new();
    repo.commit("flake.nix", &flake());
    repo.commit("switch-to-configuration", SWITCH);
    let stage = Stage::with(|host| host.flake(&repo.url()));
    for name in PROGRAMS {
        let real = real(name);
        let noted =
            "from=$(date +%s%N); REAL \"$@\"; code=$?; echo $from $(date +%s%N) >>$STAGE/spans; exit $code";
        stage.program_named(name, &noted.replace("REAL", &real));
    }
    let mut rounds: Vec<_> = (1..=ROUNDS).map(|n| round(&stage, &repo, n)).collect();
    rounds.sort_unstable_by(|a, b| a.ours().total_cmp(&b.ours()));
    let median = rounds[ROUNDS / 2];
    println!("from the request to the activation: {:.0} ms", median.whole);
    println!("git and nix (baseline):             {:.0} ms", median.baseline);
    println!(
        "beyond the baseline: {:.0} ms, at most {:.0} ms in {ROUNDS} rounds; the bound is {BOUND:.0} ms",
        median.ours(),
        rounds[ROUNDS - 1].ours()
    );
    if median.ours() <= BOUND { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn round(stage: &Stage, repo: &Repo, n: usize) -> Round {
    let version = format!("v{n}");
    repo.commit("version", &version);
    let ask = |kind: &str, action: &str| {
        let id = format!("{kind}-{n}");
        stage.request(&id, json!({"action": action, "revision": "master"}))
    };
    assert_eq!(ask("build", "build").final_report()["status"], "completed");
    stage.fault(&version, "test", "date +%s%N >$STAGE/activates");
    let _ = fs::remove_file(stage.at("spans"));
    let start = now();
    let report = ask("switch", "switch").final_report();
    assert_eq!(report["status"], "completed", "{report}");
    let activates = fs::read_to_string(stage.at("activates")).unwrap().trim().parse().unwrap();
    let spans = fs::read_to_string(stage.at("spans")).unwrap();
    let spans = spans.lines().map(|line| {
        let (from, to) = line.split_once(' ').unwrap();
        (from.parse().unwrap(), to.parse::<u64>().unwrap().min(activates))
    });
    let millis = |nanos: u64| std::time::Duration::from_nanos(nanos).as_secs_f64() * 1000.0;
    Round { whole: millis(activates - start), baseline: millis(covered(spans.collect())) }
}

/// Total time covered by the spans, which may be nested or overlap.
fn covered(mut spans: Vec<(u64, u64)>) -> u64 {
    spans.sort_unstable();
    let (mut sum, mut until) = (0, 0);
    for (from, to) in spans {
        sum += to.saturating_sub(from.max(until));
        until = until.max(to);
    }
    sum
}

fn now() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap()
}

fn real(name: &str) -> String {
    let all = env::var_os("PATH").unwrap();
    let found = env::split_paths(&all).map(|dir| dir.join(name)).find(|file| file.is_file());
    found.expect("nix and git are installed").display().to_string()
}
