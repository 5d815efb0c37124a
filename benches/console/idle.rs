//! What a console takes that merely shows a fleet at rest, beside one that shows no host at all.

use crate::broker::Fleet;
use crate::minute;
use crate::terminal::Console;
use std::time::{Duration, Instant};

const HOSTS: usize = 100;
/// Percent of a core.
const BOUND: f64 = 0.5;
/// How long everything may settle before.
const SETTLE: Duration = Duration::from_secs(5);

pub(crate) fn measure() -> bool {
    let (idle, written) = share(HOSTS);
    let (floor, written_floor) = share(0);
    println!(
        "idle: {idle:.2} % of a core with {HOSTS} hosts, bound {BOUND} %; floor, no host: {floor:.2} %\n  \
         written to the terminal a second: {written:.0} bytes; floor: {written_floor:.0} bytes"
    );
    idle <= BOUND
}

/// The share of a core, in percent, and the bytes a second.
fn share(hosts: usize) -> (f64, f64) {
    let fleet = Fleet::start(hosts);
    fleet.announce(hosts);
    let mut console = Console::start(&fleet);
    console.shows(if hosts == 0 { "no host yet" } else { " 100 hosts " });
    console.rest(SETTLE);
    let (cpu, written, begun) = (console.cpu(), console.written, Instant::now());
    console.rest(minute());
    let took = begun.elapsed().as_secs_f64();
    let share = (console.cpu() - cpu) / took * 100.0;
    #[expect(clippy::cast_precision_loss, reason = "a few megabytes at most")]
    let written = (console.written - written) as f64 / took;
    console.quit();
    fleet.stop();
    (share, written)
}
