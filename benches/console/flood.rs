//! A minute of 5,000 reports a second: nothing is dropped, and keys are answered. The floor is the same keys without
//! reports.

use crate::broker::Fleet;
use crate::terminal::Console;
use crate::{at_share, hosts, minute};
use async_nats::Client;
use homelab_deploy::protocol::of_report;
use std::time::{Duration, Instant};
use tokio::time::{Interval, MissedTickBehavior, interval};

const HOSTS: usize = 1000;
/// Reports a second, and how many of them are handed to the server at once.
const RATE: u32 = 5000;
const BURST: u32 = 25;
/// The pause between two keys.
const PAUSE: Duration = Duration::from_millis(200);
const BOUND: Duration = Duration::from_millis(50);
/// The line of the first host, and the column that shows which one is selected.
const FIRST: u16 = 4;
const CURSOR: u16 = 1;
/// What the console says where it has lost something.
const LOSSES: [&str; 4] = ["dropped", "unreadable", "connected again", "connection was lost"];

pub(crate) fn measure() -> bool {
    let fleet = Fleet::start(HOSTS);
    let mut console = Console::start(&fleet);
    console.shows(&format!(" {HOSTS} hosts "));
    console.rest(Duration::from_secs(1));
    let (floor, _) = type_for(&mut console, minute() / 4);

    let publisher = fleet.runtime.spawn(publish(fleet.client.clone(), minute()));
    let (before, begun) = (console.cpu(), Instant::now());
    let (answered, loss) = type_for(&mut console, minute());
    let cpu = (console.cpu() - before) / begun.elapsed().as_secs_f64() * 100.0;
    let (sent, took) = fleet.runtime.block_on(publisher).unwrap();
    // The last report of every host is its verdict: half of them have failed, and no job runs any more.
    let verdicts = format!(" {} failed", HOSTS / 2);
    console.until(|screen| {
        let counts = screen.contents_between(1, 0, 2, 0);
        counts.contains(&verdicts) && !counts.contains("deploying")
    });
    let loss = loss.or_else(|| loss_in(&console.text()));
    console.quit();
    fleet.stop();

    let late = at_share(&answered, 990);
    println!(
        "flood: 99 of 100 keys answered within {late:.1?} at {:.0} reports a second, median {:.1?}, all within {:.1?}, \
         bound {BOUND:?}; {}; {cpu:.0} % of a core",
        f64::from(sent) / took.as_secs_f64(),
        at_share(&answered, 500),
        at_share(&answered, 1000),
        loss.map_or("none dropped".to_owned(), |loss| format!("LOST: the console says {loss:?}")),
    );
    let floor_late = at_share(&floor, 990);
    println!("  floor, no reports: {floor_late:.1?}, median {:.1?}", at_share(&floor, 500));
    late.max(floor_late) <= BOUND && loss.is_none()
}

/// Moves the selection down and up again, and gives how long each key took to show, and what was lost meanwhile.
fn type_for(console: &mut Console, length: Duration) -> (Vec<Duration>, Option<&'static str>) {
    let (mut taken, mut loss) = (Vec::new(), None);
    let begun = Instant::now();
    while begun.elapsed() < length {
        for (key, row) in [("j", FIRST + 1), ("k", FIRST)] {
            let at_row =
                |screen: &vt100::Screen| screen.cell(row, CURSOR).is_some_and(|cell| cell.contents() == "▸");
            taken.push(console.answers(key, at_row));
            loss = loss.or_else(|| loss_in(&console.text()));
            console.rest(PAUSE);
        }
    }
    taken.sort_unstable();
    (taken, loss)
}

fn loss_in(text: &str) -> Option<&'static str> {
    LOSSES.into_iter().find(|loss| text.contains(loss))
}

/// Every host in turn, each report a step further, and in the end the verdict of each. Gives how many were sent and how
/// long that took.
async fn publish(client: Client, length: Duration) -> (u32, Duration) {
    let subject = of_report(&hosts::deployment());
    let mut tick: Interval = interval(Duration::from_secs(1) * BURST / RATE);
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let begun = Instant::now();
    let mut sent = 0;
    while begun.elapsed() < length {
        tick.tick().await;
        for _ in 0..BURST {
            let (host, step) = (sent as usize % HOSTS, u64::from(sent) / HOSTS as u64);
            client.publish(subject.clone(), hosts::report(host, step, false).encode().into()).await.unwrap();
            sent += 1;
        }
    }
    let took = begun.elapsed();
    for host in 0..HOSTS {
        let verdict = hosts::report(host, u64::from(sent), true).encode();
        client.publish(subject.clone(), verdict.into()).await.unwrap();
    }
    client.flush().await.unwrap();
    (sent, took)
}
