//! Memory of a console with 10,000 hosts, compared with one without hosts.

use crate::hosts;
use crate::nats_server::Fleet;
use crate::terminal::Console;
use homelab_deploy::client::Inventory;
use jiff::Timestamp;
use std::fs::read_dir;
use std::sync::Arc;
use std::time::{Duration, Instant};

const HOSTS: usize = 10_000;
/// How many hosts a console keeps that knows none.
const NEW: usize = 1000;
/// In KiB.
const BOUND: u64 = 64 * 1024;
/// How often every host sends everything again: memory that is freed and reused must not grow.
const ROUNDS: u64 = 3;
/// A minute, and the console's work at its end.
const MINUTE: Duration = Duration::from_secs(65);
/// Maximum time for the console to draw the last messages.
const SETTLE: Duration = Duration::from_secs(2);

pub(crate) fn measure() -> bool {
    let fleet = Fleet::start(0);
    let mut console = Console::start(&fleet);
    console.shows("no hosts yet");
    console.idle(SETTLE);
    let baseline = console.memory("VmRSS");
    console.quit();
    fleet.stop();

    let fleet = Fleet::start(HOSTS);
    // The second console loads every host from the inventory of the first, as in normal use.
    let mut first = Console::start(&fleet);
    first.shows(&format!(" {NEW} hosts "));
    first.quit();
    let directory = fleet.directory().join("homelab-deploy/inventory");
    let files = read_dir(directory).unwrap().map(|file| file.unwrap().path());
    let file = files.into_iter().find(|file| file.extension().is_some_and(|end| end == "json")).unwrap();
    let mut inventory = Inventory::open(&file).unwrap();
    hosts::expect(&mut inventory, HOSTS);
    // Only hosts that were seen are saved.
    for entry in inventory.hosts.values_mut() {
        Arc::make_mut(entry).last_seen = Some(Timestamp::now());
    }
    inventory.save().unwrap();
    let mut console = Console::start(&fleet);
    console.shows(&format!(" {HOSTS} online"));
    let start = Instant::now();
    let mut resident = Vec::new();
    for round in 1..=ROUNDS {
        fleet.announce_all(HOSTS);
        fleet.report_all(HOSTS, round);
        console.shows(&format!(" {HOSTS} deploying"));
        // The first host is selected, and its step is shown below the table.
        console.shows(&format!("step {round},"));
        console.idle(SETTLE);
        resident.push(console.memory("VmRSS"));
    }
    // Once a minute, the console queries all hosts and saves the inventory.
    console.idle((start + MINUTE).saturating_duration_since(Instant::now()));
    resident.push(console.memory("VmRSS"));
    let most = console.memory("VmHWM");
    console.quit();
    fleet.stop();

    let highest = resident.iter().copied().max().unwrap();
    println!(
        "memory: {highest} KiB with {HOSTS} hosts, bound {BOUND} KiB; baseline, no host: {baseline} KiB\n  \
         after every host has sent everything {ROUNDS} times, and after a minute: {resident:?} KiB; maximum \
         {most} KiB"
    );
    highest <= BOUND
}
