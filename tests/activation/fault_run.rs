//! Deployments, each with a fault at a random moment: a death of the listener, of the worker or of the NATS server, a
//! full disk, or dropped connections.

use crate::common::{Ears, Gateway, SmallDisk, Wire, eventually, operator};
use crate::stage::Stage;
use serde_json::{Value, json};
use std::fs;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

const HOSTS: usize = 5;
/// What goes wrong.
const FAULTS: [&str; 5] =
    ["listener killed", "worker killed", "NATS server killed", "disk full", "connections dropped"];
/// How large the disk of a host's state is, in MiB: room for the logs of two hundred jobs.
const DISK: u64 = 512;

#[derive(Debug, Default)]
struct Tally {
    completed: usize,
    /// Failed, and rolled back if anything had changed.
    failed: usize,
    /// The request or its acceptance was lost with its owner; nothing was changed.
    lost: usize,
    /// How often each fault came about.
    faults: [usize; FAULTS.len()],
}

/// Takes minutes: `make faults` runs it. `FAULTS` is the number of deployments, `FAULTS_SEED` repeats a run.
#[test]
#[ignore = "takes minutes; make faults runs it"]
fn every_job_has_one_result_whatever_fails() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let seed = number("FAULTS_SEED").unwrap_or_else(|| fastrand::u64(..));
    let count = usize::try_from(number("FAULTS").unwrap_or(1000)).unwrap();
    println!("seed {seed}, {count} deployments");
    let tallies = thread::scope(|scope| {
        let hosts: Vec<_> = (0..HOSTS)
            .map(|host| scope.spawn(move || run(seed.wrapping_add(host as u64), count.div_ceil(HOSTS))))
            .collect();
        hosts.into_iter().map(|host| host.join().unwrap()).collect::<Vec<_>>()
    });
    let sum = |of: fn(&Tally) -> usize| tallies.iter().map(of).sum::<usize>();
    let (completed, failed, lost) = (sum(|t| t.completed), sum(|t| t.failed), sum(|t| t.lost));
    println!("{completed} completed, {failed} failed, {lost} were never begun");
    for (n, fault) in FAULTS.into_iter().enumerate() {
        let times: usize = tallies.iter().map(|t| t.faults[n]).sum();
        println!("{fault}: {times}");
        assert!(times > 0 || fault == "disk full", "{fault} was not tried");
        if times == 0 {
            println!("NOT RUN: {fault}; only root can mount a small disk");
        }
    }
    assert!(completed > 0, "nothing was tried");
    assert_eq!(completed + failed + lost, count.div_ceil(HOSTS) * HOSTS);
    println!("0 without a result, 0 with two, 0 on a system whose connection was not confirmed");
}

/// A host whose state is on a small disk, if one can be had, and whose way to the NATS server can be cut.
struct Trial {
    stage: Stage,
    gateway: Gateway,
    disk: Option<SmallDisk>,
}

impl Trial {
    fn new() -> Self {
        let (mut gateway, mut disk) = (None, None);
        let stage = Stage::beside(|broker, host| {
            let way = Gateway::to(&broker.place("nats"));
            let state = host.folder().join("state");
            disk = SmallDisk::mount(&state, DISK);
            let host = host.flag("--nats-url", &way.url()).args(&["--confirm-timeout", "5"]);
            gateway = Some(way);
            host
        });
        Self { stage, gateway: gateway.unwrap(), disk }
    }
}

fn run(seed: u64, count: usize) -> Tally {
    let mut dice = fastrand::Rng::with_seed(seed);
    let mut trial = Trial::new();
    let everything = Wire::connect(&trial.stage.broker, "everything");
    let reports = everything.listen("deploy.responses.*");
    let mut tally = Tally::default();
    let mut running = "v0".to_owned();
    let mut on_a_full_disk = Vec::new();
    for n in 1..=count {
        let version = format!("v{n}");
        trial.stage.version(&version);
        for action in ["test", "boot"] {
            trial.stage.fault(&version, action, "sleep 0.2");
        }
        let mut deploy = operator(&trial.stage.broker, "tester");
        deploy
            .args(["deploy", "web1", "--timeout", "120", "--output", "json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = deploy.spawn().unwrap();
        let fault = dice.usize(0..FAULTS.len());
        if fault == 1 {
            eventually("a worker, or the end", || {
                (trial.stage.has_program() || child.try_wait().unwrap().is_some()).then_some(())
            });
        }
        // A random moment is what this is about; no event tells of one.
        let life = if fault == 1 { 600 } else { 2500 };
        thread::sleep(Duration::from_millis(dice.u64(0..life)));
        let lasts = Duration::from_millis(dice.u64(0..8000));
        if trial.cause(fault, lasts) {
            tally.faults[fault] += 1;
        }
        let output = child.wait_with_output().unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        settle(&trial.stage);
        let told = told
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .find(|line| line["event"] == "result");
        if FAULTS[fault] == "disk full" {
            on_a_full_disk.push(told.as_ref().map(|told| told["value"]["id"].clone()).unwrap_or_default());
        }
        check(&trial.stage, seed, &version, &mut running, told.as_ref(), &mut tally);
    }
    // What a full disk did not take is written by the next start.
    trial.stage.host.restart();
    settle(&trial.stage);
    one_verdict_each(&trial.stage, seed, &reports, &on_a_full_disk);
    tally
}

impl Trial {
    /// Has a fault come about, and end after a while; gives whether it did.
    fn cause(&mut self, fault: usize, lasts: Duration) -> bool {
        match fault {
            0 => {
                self.stage.host.kill();
                self.stage.host.relaunch();
            }
            1 => return self.stage.try_kill_program(),
            2 => {
                self.stage.broker.stop();
                self.stage.broker.restart();
            }
            3 => {
                let Some(disk) = &self.disk else { return false };
                disk.fill();
                thread::sleep(lasts);
                disk.relieve();
            }
            _ => {
                self.gateway.cut();
                thread::sleep(lasts);
                self.gateway.restore();
            }
        }
        true
    }
}

/// Whatever was ever told of a job as final, and its line in the history, is what its record says.
fn one_verdict_each(stage: &Stage, seed: u64, reports: &Ears, on_a_full_disk: &[Value]) {
    let told: Vec<_> = reports.arrived().into_iter().map(|heard| heard.body).collect();
    let history = fs::read_to_string(stage.host.file("state/history.jsonl")).unwrap();
    // A full disk tears a line, which is written once more; whoever reads the history passes over it.
    let lines: Vec<Value> = history.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let records = stage.records();
    let has_record = |line: &&Value| records.iter().any(|record| record["request"]["id"] == line["id"]);
    // The open record of a job whose result a full disk did not take is put aside, so that it is not done again.
    let aside = |line: &Value| stage.job_file(line["id"].as_str().unwrap(), "state.aside").exists();
    let is_refused =
        |line: &&Value| line["status"] == "failed" && (aside(line) || on_a_full_disk.contains(&line["id"]));
    let unknown: Vec<_> = lines.iter().filter(|line| !has_record(line) && !is_refused(line)).collect();
    assert!(unknown.is_empty(), "seed {seed}: no record of {unknown:?}");
    for record in records {
        let report = &record["report"];
        let verdict = |of: &Value| json!([of["status"], of["error"]]);
        let mine = |of: &&Value| of["id"] == report["id"];
        let lines: Vec<_> = lines.iter().filter(mine).map(verdict).collect();
        assert_eq!(lines, [verdict(report)], "seed {seed}");
        let finals = told.iter().filter(mine).filter(|told| is_final(told));
        for told in finals {
            assert_eq!(verdict(told), verdict(report), "seed {seed}: {told}");
            // A result that the disk did not take is delivered once more after the next start.
            if !on_a_full_disk.contains(&report["id"]) {
                assert_eq!(told["seq"], report["seq"], "seed {seed}: {told}");
            }
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
    if let Some(record) = &mine {
        is_confirmed(record, stage, &context());
    }
    match mine {
        None => {
            assert_eq!(runs, *running, "{}", context());
            assert!(!stage.calls().contains(&format!("{version} test")), "{}", context());
            // A full disk refused it, and took no record of that.
            let message = told.map(|told| told["value"]["hosts"][0]["report"]["message"].to_string());
            let is_refused =
                verdict == "failed" && message.is_some_and(|message| message.contains("No space left"));
            assert!(is_refused || !["completed", "failed"].contains(&verdict.as_str()), "{}", context());
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

/// Whatever runs after a deployment that changed something was confirmed last, or the NATS server was there and refused.
fn is_confirmed(record: &Value, stage: &Stage, context: &str) {
    let report = &record["report"];
    let changed = report["status"] == "completed" || report["rolled_back"] == true;
    if !changed || report["phases"][3]["state"] == "skipped" {
        return;
    }
    let id = record["request"]["id"].as_str().unwrap();
    let kept = fs::read(stage.at("root/run/homelab-deploy").join(id).join("proof.json"));
    let proof = kept.or_else(|_| fs::read(stage.job_file(id, "proof.json"))).unwrap();
    let proof: Value = serde_json::from_slice(&proof).unwrap();
    let is_confirmed = proof["proved"] == true && proof["nonce"] == record["nonce"];
    let is_said = report["message"].as_str().unwrap().contains("the connection is not confirmed");
    assert!(is_confirmed || (report["rolled_back"] == true && is_said), "{proof}\n{record}\n{context}");
}
