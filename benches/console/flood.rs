//! 5,000 reports per second for a minute: nothing is dropped, and keys are answered. The baseline is the same keys
//! without reports.

use crate::nats_server::Fleet;
use crate::terminal::Console;
use crate::{ROWS, hosts, minute, percentile};
use async_nats::Client;
use homelab_deploy::protocol::report_subject;
use std::time::{Duration, Instant};
use tokio::time::{Interval, MissedTickBehavior, interval};

const HOSTS: usize = 1000;
/// Reports per second, and how many of them are published at once.
const RATE: u32 = 5000;
const BURST: u32 = 25;
/// Pause between two keys.
const PAUSE: Duration = Duration::from_millis(200);
const BOUND: Duration = Duration::from_millis(50);
/// Column of the selection marker.
const CURSOR: u16 = 1;
/// Messages of the console after a loss.
const LOSSES: [&str; 4] = ["dropped", "unreadable", "reconnected", "connection was lost"];

pub(crate) fn measure() -> bool {
    let fleet = Fleet::start(HOSTS);
    let mut console = Console::start(&fleet);
    console.shows(&format!(" {HOSTS} hosts "));
    console.idle(Duration::from_secs(1));
    // In this order, no report moves a host to another row.
    console.types(":sort host\r");
    console.shows("sort: host");
    let (baseline, _) = type_for(&mut console, minute() / 4);

    let publisher = fleet.runtime.spawn(publish(fleet.client.clone(), minute()));
    // The box of the running deployment moves the table.
    console.shows("rollouts 1 running");
    let (before, start) = (console.cpu(), Instant::now());
    let (answered, loss) = type_for(&mut console, minute());
    let cpu = (console.cpu() - before) / start.elapsed().as_secs_f64() * 100.0;
    let (sent, took) = fleet.runtime.block_on(publisher).unwrap();
    // The last report of every host is its result: half of the hosts have failed, and no job is running.
    let failed_count = format!(" {} failed", HOSTS / 2);
    console.until(|screen| {
        let counts = screen.contents_between(1, 0, 2, 0);
        counts.contains(&failed_count) && !counts.contains("deploying")
    });
    let loss = loss.or_else(|| loss_in(&console.text()));
    console.quit();
    fleet.stop();

    let late = percentile(&answered, 990);
    println!(
        "flood: 99 of 100 keys answered within {late:.1?} at {:.0} reports per second, median {:.1?}, all within {:.1?}, \
         bound {BOUND:?}; {}; {cpu:.0} % of a core",
        f64::from(sent) / took.as_secs_f64(),
        percentile(&answered, 500),
        percentile(&answered, 1000),
        loss.map_or("none dropped".to_owned(), |loss| format!("LOST: the console shows {loss:?}")),
    );
    let baseline_late = percentile(&baseline, 990);
    println!("  baseline, no reports: {baseline_late:.1?}, median {:.1?}", percentile(&baseline, 500));
    late.max(baseline_late) <= BOUND && loss.is_none()
}

/// Moves the selection down and up again. Returns the time until each key took effect, and the first loss.
fn type_for(console: &mut Console, length: Duration) -> (Vec<Duration>, Option<&'static str>) {
    let (mut taken, mut loss) = (Vec::new(), None);
    let is_selected =
        |screen: &vt100::Screen, row| screen.cell(row, CURSOR).is_some_and(|cell| cell.contents() == "▸");
    let first = (0..ROWS).find(|row| is_selected(console.screen(), *row)).unwrap();
    let start = Instant::now();
    while start.elapsed() < length {
        for (key, row) in [("j", first + 1), ("k", first)] {
            let at_row = |screen: &vt100::Screen| is_selected(screen, row);
            taken.push(console.answers(key, at_row));
            loss = loss.or_else(|| loss_in(&console.text()));
            console.idle(PAUSE);
        }
    }
    taken.sort_unstable();
    (taken, loss)
}

fn loss_in(text: &str) -> Option<&'static str> {
    LOSSES.into_iter().find(|loss| text.contains(loss))
}

/// Publishes reports of all hosts in turn, each one step further, and at the end the result of each. Returns the number
/// of reports and the time they took.
async fn publish(client: Client, length: Duration) -> (u32, Duration) {
    let subject = report_subject(&hosts::deployment());
    let mut tick: Interval = interval(Duration::from_secs(1) * BURST / RATE);
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let start = Instant::now();
    let mut sent = 0;
    while start.elapsed() < length {
        tick.tick().await;
        for _ in 0..BURST {
            let (host, step) = (sent as usize % HOSTS, u64::from(sent) / HOSTS as u64);
            client.publish(subject.clone(), hosts::report(host, step, false).encode().into()).await.unwrap();
            sent += 1;
        }
    }
    let took = start.elapsed();
    for host in 0..HOSTS {
        let final_report = hosts::report(host, u64::from(sent), true).encode();
        client.publish(subject.clone(), final_report.into()).await.unwrap();
    }
    client.flush().await.unwrap();
    (sent, took)
}
