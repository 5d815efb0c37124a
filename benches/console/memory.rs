//! The memory of a console that knows 10,000 hosts, beside one that knows none.

use crate::broker::Fleet;
use crate::terminal::Console;
use std::time::{Duration, Instant};

const HOSTS: usize = 10_000;
/// KiB.
const BOUND: u64 = 64 * 1024;
/// How often every host tells everything anew: what is freed and taken again must not grow.
const ROUNDS: u64 = 3;
/// A minute, and what the console does then.
const MINUTE: Duration = Duration::from_secs(65);
/// How long the console may take to draw what it was told last.
const SETTLE: Duration = Duration::from_secs(2);

pub(crate) fn measure() -> bool {
    let fleet = Fleet::start(0);
    let mut console = Console::start(&fleet);
    console.shows("no host yet");
    console.rest(SETTLE);
    let floor = console.memory("VmRSS");
    console.quit();
    fleet.stop();

    let fleet = Fleet::start(HOSTS);
    // The second console knows every host from the first one's roster, as an operator's does.
    let mut first = Console::start(&fleet);
    first.shows(&format!(" {HOSTS} hosts "));
    first.quit();
    let mut console = Console::start(&fleet);
    console.shows(&format!(" {HOSTS} online"));
    let begun = Instant::now();
    let mut resident = Vec::new();
    for round in 1..=ROUNDS {
        fleet.announce_all(HOSTS);
        fleet.report_all(HOSTS, round);
        console.shows(&format!(" {HOSTS} deploying"));
        // The first host is selected, and its step stands below.
        console.shows(&format!("step {round},"));
        console.rest(SETTLE);
        resident.push(console.memory("VmRSS"));
    }
    // Once a minute the console asks every host again and writes down who there is.
    console.rest((begun + MINUTE).saturating_duration_since(Instant::now()));
    resident.push(console.memory("VmRSS"));
    let most = console.memory("VmHWM");
    console.quit();
    fleet.stop();

    let highest = resident.iter().copied().max().unwrap();
    println!(
        "memory: {highest} KiB with {HOSTS} hosts, bound {BOUND} KiB; floor, no host: {floor} KiB\n  \
         after every host has told everything anew {ROUNDS} times, and after a minute: {resident:?} KiB; at most ever \
         {most} KiB"
    );
    highest <= BOUND
}
