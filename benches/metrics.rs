//! What metrics cost: a scrape, beside the same bytes from a bare server; the memory of a listener after many deployments, beside one
//! that measures nothing; and the time of a core that it takes while it is idle and scraped.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bench ends at the first fault")]
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

#[path = "../tests/common/mod.rs"]
mod common;
#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../tests/metrics/page.rs"]
mod page;
#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../tests/listener/stage.rs"]
mod stage;

use common::Host;
use page::{address, get, served};
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
/// What counts as growth, in KiB: more than some pages that come and go.
const GROWTH_BOUND: u64 = 64;
const IDLE: Duration = Duration::from_mins(1);
/// Of a core.
const IDLE_BOUND: f64 = 0.001;

fn main() -> ExitCode {
    let memory = Path::new("/dev/shm");
    if env::var_os("TMPDIR").is_none() && memory.is_dir() {
        // A sync to a disk is the disk's time.
        let again = Command::new(env::current_exe().unwrap()).env("TMPDIR", memory).status().unwrap();
        return if again.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let mut measured = Stage::with("", served);
    let scrape = scrape(&mut measured.host);
    let (grown, bare) = (deployments(&measured), deployments(&Stage::new("")));
    let memory = grown.1 <= MEMORY_BOUND && grown.1.saturating_sub(grown.0) <= GROWTH_BOUND;
    println!(
        "memory: {} KiB resident after {DEPLOYMENTS} deployments, bound {MEMORY_BOUND} KiB; {} KiB after the first half, \
         growth bound {GROWTH_BOUND} KiB",
        grown.1, grown.0
    );
    println!("  floor, a listener without metrics: {} KiB, {} KiB after the first half", bare.1, bare.0);
    let idle = idle(&mut measured.host);
    if scrape && memory && idle { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The median time of a scrape.
fn scrape(host: &mut Host) -> bool {
    let address = address(host);
    let page = get(&address, "/metrics").body;
    let took = median(&address);
    let floor = median(&bare_server(page.clone()));
    println!(
        "scrape: {took:.2?} for {} bytes, bound {SCRAPE_BOUND:?}; floor, a bare server: {floor:.2?}",
        page.len()
    );
    took <= SCRAPE_BOUND
}

fn median(address: &str) -> Duration {
    let mut rounds: Vec<_> = (0..SCRAPES)
        .map(|_| {
            let begun = Instant::now();
            assert_eq!(get(address, "/metrics").status, 200);
            begun.elapsed()
        })
        .collect();
    rounds.sort_unstable();
    rounds[SCRAPES / 2]
}

/// Answers everything with the same bytes.
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

/// Resident memory after half of the deployments and after all, in KiB.
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

/// What it takes of a core while nothing happens but announcements and four scrapes.
fn idle(host: &mut Host) -> bool {
    let address = address(host);
    let before = on_core(host);
    let begun = Instant::now();
    for _ in 0..4 {
        sleep(IDLE / 4);
        get(&address, "/metrics");
    }
    let share = on_core(host).saturating_sub(before).as_secs_f64() / begun.elapsed().as_secs_f64();
    println!(
        "idle: {:.3} % of a core over {IDLE:?}, scraped every {:?}, bound {} %; floor, a process that sleeps: 0 %",
        share * 100.0,
        IDLE / 4,
        IDLE_BOUND * 100.0
    );
    share <= IDLE_BOUND
}

/// How long its threads have been on a core.
fn on_core(host: &Host) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{}/task", host.process())).unwrap();
    let nanos = tasks.filter_map(|task| {
        let text = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}
