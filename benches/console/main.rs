//! What the console promises: frames, keys under load, idling and memory, each beside its floor of the same run.
//!
//! Without arguments everything is measured, which takes five minutes; `cargo bench --bench console -- frame flood`
//! measures those two. `CONSOLE_BENCH_SECONDS` shortens what is measured over a minute, for trying out.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench ends at the first fault and prints its figures"
)]

mod broker;
mod deployments;
mod flood;
mod frame;
mod hosts;
mod idle;
mod log;
mod memory;
mod terminal;

use std::process::ExitCode;
use std::time::Duration;

/// The size of the terminal everywhere.
const COLUMNS: u16 = 160;
const ROWS: u16 = 50;

/// Prints its lines and gives whether the bound holds.
type Measure = fn() -> bool;

const ALL: [(&str, Measure); 6] = [
    ("frame", frame::measure),
    ("deployments", deployments::measure),
    ("log", log::measure),
    ("flood", flood::measure),
    ("idle", idle::measure),
    ("memory", memory::measure),
];

/// How long what is promised over a minute is measured.
fn minute() -> Duration {
    let seconds = std::env::var("CONSOLE_BENCH_SECONDS").ok();
    Duration::from_secs(seconds.map_or(60, |seconds| seconds.parse().unwrap()))
}

fn main() -> ExitCode {
    // Cargo adds flags of its own.
    let chosen: Vec<_> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |name: &str| chosen.is_empty() || chosen.iter().any(|chosen| chosen == name);
    let missed = ALL.into_iter().filter(|(name, measure)| wanted(name) && !measure()).count();
    if missed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// The value below which this share of the sorted values lies, in thousandths.
fn at_share(sorted: &[Duration], thousandths: usize) -> Duration {
    sorted[(sorted.len() * thousandths / 1000).min(sorted.len() - 1)]
}
