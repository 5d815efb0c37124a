//! Limits of the console: frames, keys under load, idling and memory, each compared with a baseline of the same run.
//!
//! Without arguments, all benches run, which takes five minutes; `cargo bench --bench console -- frame flood` runs
//! those two. `CONSOLE_BENCH_SECONDS` shortens measurements of a minute, to try them out.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench stops at the first error and prints its results"
)]

mod deployments;
mod flood;
mod frame;
mod hosts;
mod idle;
mod log;
mod memory;
mod nats_server;
mod terminal;

use std::process::ExitCode;
use std::time::Duration;

/// Size of the terminal in all benches.
const COLUMNS: u16 = 160;
const ROWS: u16 = 50;

/// Prints its results and returns whether the bound holds.
type Measure = fn() -> bool;

const ALL: [(&str, Measure); 6] = [
    ("frame", frame::measure),
    ("deployments", deployments::measure),
    ("log", log::measure),
    ("flood", flood::measure),
    ("idle", idle::measure),
    ("memory", memory::measure),
];

/// Duration of measurements of a minute.
fn minute() -> Duration {
    let seconds = std::env::var("CONSOLE_BENCH_SECONDS").ok();
    Duration::from_secs(seconds.map_or(60, |seconds| seconds.parse().unwrap()))
}

fn main() -> ExitCode {
    // Cargo adds its own flags.
    let chosen: Vec<_> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let is_selected = |name: &str| chosen.is_empty() || chosen.iter().any(|chosen| chosen == name);
    let missed = ALL.into_iter().filter(|(name, measure)| is_selected(name) && !measure()).count();
    if missed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// The percentile of sorted values, in thousandths.
fn percentile(sorted: &[Duration], thousandths: usize) -> Duration {
    sorted[(sorted.len() * thousandths / 1000).min(sorted.len() - 1)]
}
