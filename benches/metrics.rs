//! Cost of metrics: the time of a scrape, compared with the same bytes from a bare server; the memory of a listener
//! after many deployments, compared with one without metrics; and the CPU share of a listener that is idle and scraped.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bench stops at the first error")]
#![expect(clippy::print_stdout, reason = "a bench prints its results")]

#[path = "../tests/common/mod.rs"]
mod common;
#[allow(dead_code, reason = "only the tests use the rest")]
#[path = "../tests/metrics/page.rs"]
mod page;
#[allow(dead_code, reason = "only the tests use the rest")]
#[path = "../tests/listener/stage.rs"]
mod stage;

use common::Host;
use page::{address, get, with_metrics};
use stage::Stage;
use std::env;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::thread::sleep;
use std::time::{Duration, Instant};

const SCRAPES: usize = 201;
const SCRAPE_BOUND: Duration = Duration::from_millis(5);
const DEPLOYMENTS: usize = 1000;
/// In KiB.
const MEMORY_BOUND: u64 = 12 * 1024;
/// Minimum growth that counts, in KiB: more than the usual fluctuation of some pages.
const GROWTH_BOUND: u64 = 64;
const IDLE: Duration = Duration::from_mins(1);
/// As a share of one core.
const IDLE_BOUND: f64 = 0.001;

fn main() -> ExitCode {
    let memory = Path::new("/dev/shm");
    if env::var_os("TMPDIR").is_none() && memory.is_dir() {
        // On a disk, the time of each sync would dominate.
        let again = Command::new(env::current_exe().unwrap()).env("TMPDIR", memory).status().unwrap();
        return if again.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let mut measured = Stage::with("", with_metrics);
    let scrape = scrape(&mut measured.host);
    let (grown, bare) = (deployments(&measured), deployments(&Stage::new("")));
    let memory = grown.1 <= MEMORY_BOUND && grown.1.saturating_sub(grown.0) <= GROWTH_BOUND;
    println!(
        "memory: {} KiB resident after {DEPLOYMENTS} deployments, bound {MEMORY_BOUND} KiB; {} KiB after the first half, \
         growth bound {GROWTH_BOUND} KiB",
        grown.1, grown.0
    );
    println!("  baseline, a listener without metrics: {} KiB, {} KiB after the first half", bare.1, bare.0);
    let idle = idle(&mut measured.host);
    if scrape && memory && idle { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Measures the median time of a scrape.
fn scrape(host: &mut Host) -> bool {
    let address = address(host);
    let page = get(&address, "/metrics").body;
    let took = median(&address);
    let baseline = median(&bare_server(page.clone()));
    println!(
        "scrape: {took:.2?} for {} bytes, bound {SCRAPE_BOUND:?}; baseline, a bare server: {baseline:.2?}",
        page.len()
    );
    took <= SCRAPE_BOUND
}

fn median(address: &str) -> Duration {
    let mut rounds: Vec<_> = (0..SCRAPES)
        .map(|_| {
            let start = Instant::now();
            assert_eq!(get(address, "/metrics").status, 200);
            start.elapsed()
        })
        .collect();
    rounds.sort_unstable();
    rounds[SCRAPES / 2]
}

/// A server that answers every request with the same bytes.
fn bare_server(page: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 1024]);
            stream.write_all(format!("HTTP/1.0 200 OK\r\n\r\n{page}").as_bytes()).unwrap();
        }
    });
    address
}

/// Resident memory after half of the deployments and after all of them, in KiB.
fn deployments(stage: &Stage) -> (u64, u64) {
    let half = |half: usize| {
        for n in 0..DEPLOYMENTS / 2 {
            stage.completes(&format!("d-{half}-{n}"));
        }
        resident(&stage.host)
    };
    (half(1), half(2))
}

fn resident(host: &Host) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", host.process())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Measures the CPU share while only presence messages and four scrapes happen.
fn idle(host: &mut Host) -> bool {
    let address = address(host);
    let before = cpu_time(host);
    let start = Instant::now();
    for _ in 0..4 {
        sleep(IDLE / 4);
        get(&address, "/metrics");
    }
    let share = cpu_time(host).saturating_sub(before).as_secs_f64() / start.elapsed().as_secs_f64();
    println!(
        "idle: {:.3} % of a core over {IDLE:?}, scraped every {:?}, bound {} %; baseline, a process that sleeps: 0 %",
        share * 100.0,
        IDLE / 4,
        IDLE_BOUND * 100.0
    );
    share <= IDLE_BOUND
}

/// CPU time of all threads so far.
fn cpu_time(host: &Host) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{}/task", host.process())).unwrap();
    let nanos = tasks.filter_map(|task| {
        let text = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}
