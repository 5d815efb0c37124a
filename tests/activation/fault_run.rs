//! Deployments with one fault each at a random moment: a crash of the listener, of the worker or of the NATS server, a
//! full disk, or dropped connections.

use crate::common::{RawClient, RawSubscription, SmallDisk, TcpProxy, eventually, operator};
use crate::stage::Stage;
use serde_json::{Value, json};
use std::fs;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

const HOSTS: usize = 5;
/// The faults, in the order of [`Trial::cause`].
const FAULTS: [&str; 5] =
    ["listener killed", "worker killed", "NATS server killed", "disk full", "connections dropped"];
/// Size of the disk of a host's state in MiB: enough for the logs of two hundred jobs.
const DISK: u64 = 512;

#[derive(Debug, Default)]
struct Counts {
    completed: usize,
    /// Failed, and rolled back if anything had changed.
    failed: usize,
    /// The request or its acceptance was lost when a process died; nothing was changed.
    lost: usize,
    /// How many times each fault was caused.
    faults: [usize; FAULTS.len()],
}

/// Takes minutes; `make faults` runs it. `FAULTS` is the number of deployments, `FAULTS_SEED` repeats a run.
#[test]
#[ignore = "takes minutes; make faults runs it"]
fn every_job_has_one_result_despite_faults() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let seed = number("FAULTS_SEED").unwrap_or_else(|| fastrand::u64(..));
    let count = usize::try_from(number("FAULTS").unwrap_or(1000)).unwrap();
    println!("seed {seed}, {count} deployments");
    let all_counts = thread::scope(|scope| {
        let hosts: Vec<_> = (0..HOSTS)
            .map(|host| scope.spawn(move || run(seed.wrapping_add(host as u64), count.div_ceil(HOSTS))))
            .collect();
        hosts.into_iter().map(|host| host.join().unwrap()).collect::<Vec<_>>()
    });
    let sum = |of: fn(&Counts) -> usize| all_counts.iter().map(of).sum::<usize>();
    let (completed, failed, lost) = (sum(|t| t.completed), sum(|t| t.failed), sum(|t| t.lost));
    println!("{completed} completed, {failed} failed, {lost} never started");
    for (n, fault) in FAULTS.into_iter().enumerate() {
        let times: usize = all_counts.iter().map(|t| t.faults[n]).sum();
        println!("{fault}: {times}");
        assert!(times > 0 || fault == "disk full", "{fault} was not caused");
        if times == 0 {
            println!("NOT RUN: {fault}; only root can mount a small disk");
        }
    }
    assert!(completed > 0, "no deployment completed");
    assert_eq!(completed + failed + lost, count.div_ceil(HOSTS) * HOSTS);
    println!("0 without a result, 0 with two, 0 on a system whose connection was not confirmed");
}

/// A host whose state is on a small disk, if one can be mounted, and whose connection to the NATS server can be cut.
struct Trial {
    /// Dropped first: a directory in which a disk is mounted cannot be removed.
    disk: Option<SmallDisk>,
    stage: Stage,
    proxy: TcpProxy,
}

impl Trial {
    fn new() -> Self {
        let (mut proxy, mut disk) = (None, None);
        let stage = Stage::with_nats(|nats, host| {
            let gateway_to_nats = TcpProxy::to(&nats.address("nats"));
            let state = host.dir().join("state");
            disk = SmallDisk::mount(&state, DISK);
            let host = host.flag("--nats-url", &gateway_to_nats.url()).args(&["--confirm-timeout", "5"]);
            proxy = Some(gateway_to_nats);
            host
        });
        Self { stage, proxy: proxy.unwrap(), disk }
    }
}

fn run(seed: u64, count: usize) -> Counts {
    let mut dice = fastrand::Rng::with_seed(seed);
    let mut trial = Trial::new();
    let everything = RawClient::connect(&trial.stage.nats, "everything");
    let reports = everything.subscribe("deploy.responses.*");
    let mut counts = Counts::default();
    let mut running = "v0".to_owned();
    let mut on_a_full_disk = Vec::new();
    for n in 1..=count {
        let version = format!("v{n}");
        trial.stage.version(&version);
        for action in ["test", "boot"] {
            trial.stage.fault(&version, action, "sleep 0.2");
        }
        let mut deploy = operator(&trial.stage.nats, "tester");
        deploy
            .args(["deploy", "web1", "--timeout", "120", "--output", "json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = deploy.spawn().unwrap();
        let fault = dice.usize(0..FAULTS.len());
        if fault == 1 {
            eventually("a worker, or the end", || {
                (trial.stage.has_worker() || child.try_wait().unwrap().is_some()).then_some(())
            });
        }
        // The test needs a random moment, so it cannot wait for an event.
        let life = if fault == 1 { 600 } else { 2500 };
        thread::sleep(Duration::from_millis(dice.u64(0..life)));
        let lasts = Duration::from_millis(dice.u64(0..8000));
        if trial.cause(fault, lasts) {
            counts.faults[fault] += 1;
        }
        let output = child.wait_with_output().unwrap();
        let reported = String::from_utf8(output.stdout).unwrap();
        wait_until_idle(&trial.stage);
        let reported = reported
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .find(|line| line["event"] == "result");
        if FAULTS[fault] == "disk full" {
            on_a_full_disk
                .push(reported.as_ref().map(|reported| reported["value"]["id"].clone()).unwrap_or_default());
        }
        check(&trial.stage, seed, &version, &mut running, reported.as_ref(), &mut counts);
    }
    // The next start writes what did not fit on a full disk.
    trial.stage.host.restart();
    wait_until_idle(&trial.stage);
    assert_one_result_each(&trial.stage, seed, &reports, &on_a_full_disk);
    counts
}

impl Trial {
    /// Causes a fault that ends after a while; returns whether it was caused.
    fn cause(&mut self, fault: usize, lasts: Duration) -> bool {
        match fault {
            0 => {
                self.stage.host.kill();
                self.stage.host.relaunch();
            }
            1 => return self.stage.try_kill_worker(),
            2 => {
                self.stage.nats.stop();
                self.stage.nats.restart();
            }
            3 => {
                let Some(disk) = &self.disk else { return false };
                disk.fill();
                thread::sleep(lasts);
                disk.relieve();
            }
            _ => {
                self.proxy.cut();
                thread::sleep(lasts);
                self.proxy.restore();
            }
        }
        true
    }
}

/// Checks that every final report of a job, and its line in the history, agrees with its record.
fn assert_one_result_each(stage: &Stage, seed: u64, reports: &RawSubscription, on_a_full_disk: &[Value]) {
    let reported: Vec<_> = reports.received().into_iter().map(|message| message.body).collect();
    let history = fs::read_to_string(stage.host.file("state/history.jsonl")).unwrap();
    // A full disk may truncate a line, which is then written again; readers of the history skip the truncated line.
    let lines: Vec<Value> = history.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let records = stage.records();
    let has_record = |line: &&Value| records.iter().any(|record| record["request"]["id"] == line["id"]);
    // If a full disk prevented saving a result, the open record is quarantined so that the job is not repeated.
    let quarantined =
        |line: &Value| stage.job_file(line["id"].as_str().unwrap(), "state.quarantined").exists();
    let is_refused = |line: &&Value| {
        line["status"] == "failed" && (quarantined(line) || on_a_full_disk.contains(&line["id"]))
    };
    let unknown: Vec<_> = lines.iter().filter(|line| !has_record(line) && !is_refused(line)).collect();
    assert!(unknown.is_empty(), "seed {seed}: no record of {unknown:?}");
    for record in records {
        let report = &record["report"];
        let result = |of: &Value| json!([of["status"], of["error"]]);
        let mine = |of: &&Value| of["id"] == report["id"];
        let lines: Vec<_> = lines.iter().filter(mine).map(result).collect();
        assert_eq!(lines, [result(report)], "seed {seed}");
        let finals = reported.iter().filter(mine).filter(|reported| is_final(reported));
        for reported in finals {
            assert_eq!(result(reported), result(report), "seed {seed}: {reported}");
            // A result that could not be saved is delivered again after the next start.
            if !on_a_full_disk.contains(&report["id"]) {
                assert_eq!(reported["seq"], report["seq"], "seed {seed}: {reported}");
            }
        }
    }
}

fn is_final(report: &Value) -> bool {
    ["completed", "failed"].iter().any(|status| report["status"] == *status)
}

/// Waits until the listener is back and no job is running.
fn wait_until_idle(stage: &Stage) {
    eventually("an idle host", || {
        let open = stage.records().into_iter().any(|record| !is_final(&record["report"]));
        (!open && !stage.has_worker()).then_some(())
    });
}

fn check(
    stage: &Stage,
    seed: u64,
    version: &str,
    running: &mut String,
    reported: Option<&Value>,
    counts: &mut Counts,
) {
    let context = || format!("seed {seed}, {version}: {reported:?}\n{}", stage.calls());
    let runs = stage.runs();
    // The record of this deployment, if the request was accepted.
    let mine = stage.records().into_iter().find(|record| {
        let id = reported.and_then(|reported| reported["value"]["id"].as_str());
        id.is_some() && record["request"]["id"].as_str() == id
    });
    let result = reported
        .and_then(|reported| reported["value"]["hosts"][0]["result"].as_str())
        .unwrap_or("none")
        .to_owned();
    if let Some(record) = &mine {
        is_confirmed(record, stage, &context());
    }
    match mine {
        None => {
            assert_eq!(runs, *running, "{}", context());
            assert!(!stage.calls().contains(&format!("{version} test")), "{}", context());
            // On a full disk, the job was refused and its record could not be saved.
            let message =
                reported.map(|reported| reported["value"]["hosts"][0]["report"]["message"].to_string());
            let is_refused =
                result == "failed" && message.is_some_and(|message| message.contains("No space left"));
            assert!(is_refused || !["completed", "failed"].contains(&result.as_str()), "{}", context());
            counts.lost += 1;
        }
        Some(record) => {
            let status = record["report"]["status"].as_str().unwrap();
            assert_eq!(result, status, "{}", context());
            if status == "completed" {
                assert_eq!(runs, version, "{}", context());
                counts.completed += 1;
            } else {
                assert_eq!(runs, *running, "{}", context());
                counts.failed += 1;
            }
            let times = stage.calls().split(", ").filter(|call| **call == format!("{version} test")).count();
            assert!(times <= 1, "activated twice: {}", context());
        }
    }
    assert!(stage.profile().starts_with(&format!("{runs} as ")), "{}", context());
    *running = runs;
}

/// Checks that the running system was confirmed last if a deployment changed something, or that the NATS server refused
/// the connection.
fn is_confirmed(record: &Value, stage: &Stage, context: &str) {
    let report = &record["report"];
    let changed = report["status"] == "completed" || report["rolled_back"] == true;
    if !changed || report["phases"][3]["state"] == "skipped" {
        return;
    }
    let id = record["request"]["id"].as_str().unwrap();
    let saved = fs::read(stage.at("root/run/homelab-deploy").join(id).join("confirmation.json"));
    let confirmation = saved.or_else(|_| fs::read(stage.job_file(id, "confirmation.json"))).unwrap();
    let confirmation: Value = serde_json::from_slice(&confirmation).unwrap();
    let is_confirmed = confirmation["confirmed"] == true && confirmation["nonce"] == record["nonce"];
    let is_noted = report["message"].as_str().unwrap().contains("the connection is not confirmed");
    assert!(
        is_confirmed || (report["rolled_back"] == true && is_noted),
        "{confirmation}\n{record}\n{context}"
    );
}
