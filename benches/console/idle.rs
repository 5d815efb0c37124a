//! CPU share of a console that shows an idle fleet, compared with one without hosts.

use crate::minute;
use crate::nats_server::Fleet;
use crate::terminal::Console;
use std::time::{Duration, Instant};

const HOSTS: usize = 100;
/// In percent of a core.
const BOUND: f64 = 0.5;
/// Time to settle before measuring.
const SETTLE: Duration = Duration::from_secs(5);

pub(crate) fn measure() -> bool {
    let (idle, written) = share(HOSTS);
    let (baseline, written_baseline) = share(0);
    println!(
        "idle: {idle:.2} % of a core with {HOSTS} hosts, bound {BOUND} %; baseline, no host: {baseline:.2} %\n  \
         written to the terminal per second: {written:.0} bytes; baseline: {written_baseline:.0} bytes"
    );
    idle <= BOUND
}

/// CPU share in percent of a core, and bytes written per second.
fn share(hosts: usize) -> (f64, f64) {
    let fleet = Fleet::start(hosts);
    fleet.announce(hosts);
    let mut console = Console::start(&fleet);
    console.shows(if hosts == 0 { "no hosts yet" } else { " 100 hosts " });
    console.idle(SETTLE);
    let (cpu, written, start) = (console.cpu(), console.written, Instant::now());
    console.idle(minute());
    let took = start.elapsed().as_secs_f64();
    let share = (console.cpu() - cpu) / took * 100.0;
    #[expect(clippy::cast_precision_loss, reason = "a few megabytes at most")]
    let written = (console.written - written) as f64 / took;
    console.quit();
    fleet.stop();
    (share, written)
}
