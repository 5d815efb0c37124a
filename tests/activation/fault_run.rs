//! Two hundred deployments, each with a death at a random moment: of the listener, of the activation program, or of the
//! broker.

use crate::common::{Ears, Wire, eventually, operator};
use crate::stage::Stage;
use serde_json::{Value, json};
use std::fs;
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
    /// Deaths of the listener, of the activation program where there was one, and of the broker.
    deaths: [usize; 3],
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
    let deaths = [0, 1, 2].map(|of| tallies.iter().map(|t| t.deaths[of]).sum::<usize>());
    println!("{completed} completed, {failed} failed and went back, {lost} were never begun");
    println!("of listener, activation program and broker died {deaths:?}");
    assert!(deaths.iter().all(|deaths| *deaths > 0) && completed > 0, "nothing was tried");
    assert_eq!(completed + failed + lost, usize::try_from(HOSTS).unwrap() * EACH);
}

fn run(seed: u64) -> Tally {
    let mut dice = fastrand::Rng::with_seed(seed);
    let mut stage = Stage::with(|host| host.args(&["--confirm-timeout", "5"]));
    let everything = Wire::connect(&stage.broker, "everything");
    let reports = everything.listen("deploy.responses.*");
    let mut tally = Tally::default();
    let mut running = "v0".to_owned();
    for n in 1..=EACH {
        let version = format!("v{n}");
        stage.version(&version);
        for action in ["test", "boot"] {
            stage.fault(&version, action, "sleep 0.2");
        }
        let mut deploy = operator(&stage.broker, "tester");
        deploy
            .args(["deploy", "web1", "--timeout", "90", "--output", "json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = deploy.spawn().unwrap();
        let victim = dice.u8(0..3);
        if victim == 1 {
            eventually("an activation program, or the end", || {
                (stage.has_program() || child.try_wait().unwrap().is_some()).then_some(())
            });
        }
        // A random moment is what this is about; no event tells of one.
        let life = if victim == 1 { 600 } else { 2500 };
        thread::sleep(Duration::from_millis(dice.u64(0..life)));
        let died = match victim {
            0 => {
                stage.host.kill();
                stage.host.relaunch();
                Some(0)
            }
            1 => stage.try_kill_program().then_some(1),
            _ => {
                stage.broker.stop();
                stage.broker.restart();
                Some(2)
            }
        };
        if let Some(died) = died {
            tally.deaths[died] += 1;
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
    one_verdict_each(&stage, seed, &reports);
    tally
}

/// Whatever was ever told of a job as final, and its line in the history, is what its record says.
fn one_verdict_each(stage: &Stage, seed: u64, reports: &Ears) {
    let told: Vec<_> = reports.arrived().into_iter().map(|heard| heard.body).collect();
    let history = fs::read_to_string(stage.host.file("state/history.jsonl")).unwrap();
    let lines: Vec<Value> = history.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let records = stage.records();
    assert_eq!(lines.len(), records.len(), "seed {seed}: {history}");
    for record in records {
        let report = &record["report"];
        let verdict = |of: &Value| json!([of["status"], of["error"]]);
        let mine = |of: &&Value| of["id"] == report["id"];
        let lines: Vec<_> = lines.iter().filter(mine).map(verdict).collect();
        assert_eq!(lines, [verdict(report)], "seed {seed}");
        let finals = told.iter().filter(mine).filter(|told| is_final(told));
        for told in finals {
            assert_eq!(
                (verdict(told), &told["seq"]),
                (verdict(report), &report["seq"]),
                "seed {seed}: {told}"
            );
        }
    }
}

fn is_final(report: &Value) -> bool {
    ["completed", "failed"].iter().any(|status| report["status"] == *status)
}

/// Waits until the listener is back and nothing is at work.
fn settle(stage: &Stage) {
    eventually("a quiet host", || {
        let open = stage.records().into_iter().any(|record| !is_final(&record["report"]));
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
            assert!(!stage.calls().contains(&format!("{version} test")), "{}", context());
            assert!(!["completed", "failed"].contains(&verdict.as_str()), "{}", context());
            tally.lost += 1;
        }
        Some(record) => {
            let status = record["report"]["status"].as_str().unwrap();
            assert_eq!(verdict, status, "{}", context());
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
