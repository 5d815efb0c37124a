//! Two hundred deployments, each with a death at a random moment: of the listener, of the activation program, or of the
//! broker.

use crate::common::{eventually, operator};
use crate::stage::Stage;
use serde_json::Value;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

const HOSTS: u64 = 5;
const EACH: usize = 40;

#[derive(Debug, Default)]
struct Tally {
    completed: usize,
    failed: usize,
    /// The request or its acceptance died with whoever had it; nothing was changed.
    lost: usize,
}

/// Takes minutes: `make faults` runs it. `FAULTS_SEED` repeats a run.
#[test]
#[ignore = "takes minutes; make faults runs it"]
fn every_job_has_one_verdict_whoever_dies() {
    let seed =
        std::env::var("FAULTS_SEED").ok().map_or_else(|| fastrand::u64(..), |seed| seed.parse().unwrap());
    println!("seed {seed}");
    let tallies = thread::scope(|scope| {
        let hosts: Vec<_> =
            (0..HOSTS).map(|host| scope.spawn(move || run(seed.wrapping_add(host)))).collect();
        hosts.into_iter().map(|host| host.join().unwrap()).collect::<Vec<_>>()
    });
    let sum = |of: fn(&Tally) -> usize| tallies.iter().map(of).sum::<usize>();
    let (completed, failed, lost) = (sum(|t| t.completed), sum(|t| t.failed), sum(|t| t.lost));
    println!("{completed} completed, {failed} failed and went back, {lost} were never begun");
    assert_eq!(completed + failed + lost, usize::try_from(HOSTS).unwrap() * EACH);
}

fn run(seed: u64) -> Tally {
    let mut dice = fastrand::Rng::with_seed(seed);
    let mut stage = Stage::with(|host| host.args(&["--confirm-timeout", "5"]));
    let mut tally = Tally::default();
    let mut running = "v0".to_owned();
    for n in 1..=EACH {
        let version = format!("v{n}");
        stage.version(&version);
        let mut deploy = operator(&stage.broker, "tester");
        deploy
            .args(["deploy", "web1", "--timeout", "90", "--output", "json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let child = deploy.spawn().unwrap();
        // A random moment is what this is about; no event tells of one.
        thread::sleep(Duration::from_millis(dice.u64(0..2500)));
        match dice.u8(0..3) {
            0 => {
                stage.host.kill();
                stage.host.relaunch();
            }
            1 => stage.try_kill_program(),
            _ => {
                stage.broker.stop();
                stage.broker.restart();
            }
        }
        let output = child.wait_with_output().unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        settle(&stage);
        let told = told
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .find(|line| line["event"] == "result");
        check(&stage, seed, &version, &mut running, told.as_ref(), &mut tally);
    }
    tally
}

/// Waits until the listener is back and nothing is at work.
fn settle(stage: &Stage) {
    eventually("a quiet host", || {
        let open = stage.records().into_iter().any(|record| {
            !["completed", "failed"].iter().any(|status| record["report"]["status"] == *status)
        });
        (!open && !stage.has_program()).then_some(())
    });
}

fn check(
    stage: &Stage,
    seed: u64,
    version: &str,
    running: &mut String,
    told: Option<&Value>,
    tally: &mut Tally,
) {
    let context = || format!("seed {seed}, {version}: {told:?}\n{}", stage.calls());
    let runs = stage.runs();
    // The record of this deployment, if it came to be one: its system is this version's.
    let mine = stage.records().into_iter().find(|record| {
        let id = told.and_then(|told| told["value"]["id"].as_str());
        id.is_some() && record["request"]["id"].as_str() == id
    });
    let verdict =
        told.and_then(|told| told["value"]["hosts"][0]["verdict"].as_str()).unwrap_or("none").to_owned();
    match mine {
        None => {
            assert_eq!(runs, *running, "{}", context());
            assert!(!["completed", "failed"].contains(&verdict.as_str()), "{}", context());
            tally.lost += 1;
        }
        Some(record) => {
            let status = record["report"]["status"].as_str().unwrap();
            // The operator either knows the host's own verdict or says that it does not.
            assert!(
                verdict == status || ["unknown", "silent", "none"].contains(&verdict.as_str()),
                "{}",
                context()
            );
            if status == "completed" {
                assert_eq!(runs, version, "{}", context());
                tally.completed += 1;
            } else {
                assert_eq!(runs, *running, "{}", context());
                tally.failed += 1;
            }
            let times = stage.calls().split(", ").filter(|call| **call == format!("{version} test")).count();
            assert!(times <= 1, "activated twice: {}", context());
        }
    }
    assert!(stage.profile().starts_with(&format!("{runs} as ")), "{}", context());
    *running = runs;
}
