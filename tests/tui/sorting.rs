//! The order of the hosts and their counts are kept up to date without new work for every report.

use crate::harness::{
    Harness, PLAIN, answer, building, failed, noon, presence_message, report, report_message,
};
use homelab_deploy::client::Inventory;
use homelab_deploy::protocol::{Inbound, Status};
use homelab_deploy::tui::{App, ConsoleEvent, FleetCounts, Sort, update};
use jiff::SignedDuration;
use proptest::prelude::*;

/// A fleet in the default order.
fn fleet() -> Harness {
    let mut harness = Harness::fleet(120, 40, PLAIN);
    harness.app.table.sort = Sort::Attention;
    harness.app.table.invalidate();
    harness.apply(ConsoleEvent::Frame);
    harness
}

/// Whether a frame after this makes new rows. The old ones still exist while the new ones are made.
fn arranges(harness: &mut Harness, change: impl FnOnce(&mut Harness)) -> bool {
    let before = harness.app.table.rows().as_ptr();
    change(harness);
    harness.apply(ConsoleEvent::Frame);
    harness.app.table.rows().as_ptr() != before
}

/// A later report of the running build.
fn progress(seq: u64) -> Inbound {
    let mut report = building("ns1", "d2");
    (report.seq, report.elapsed_ms) = (Some(seq), Some(seq));
    report_message(report)
}

#[test]
fn the_default_order_is_kept_if_nothing_that_decides_it_changes() {
    let mut harness = fleet();
    let later = noon() + SignedDuration::from_secs(1);
    assert!(!arranges(&mut harness, |harness| harness.receive(noon(), [progress(2_000_000)])));
    assert!(!arranges(&mut harness, |harness| harness.clock(later)));
    let same = presence_message(answer("ns2", "prod", "dns"));
    assert!(!arranges(&mut harness, |harness| harness.receive(later, [same])));
    // The filter matches any text, so every report counts.
    harness.type_text("/n");
    harness.press(crossterm::event::KeyCode::Enter);
    harness.apply(ConsoleEvent::Frame);
    assert!(arranges(&mut harness, |harness| harness.receive(later, [progress(2_000_001)])));
}

#[test]
fn the_default_order_follows_severity_time_and_place() {
    let mut harness = fleet();
    let mut ended = failed("ns1", "d2");
    ended.seq = Some(3_000_000);
    assert!(arranges(&mut harness, |harness| harness.receive(noon(), [report_message(ended)])));
    let group = |harness: &Harness, host: &str| {
        let rows = harness.app.table.rows().iter();
        rows.filter_map(|row| row.host()).position(|name| name.as_str() == host).unwrap()
    };
    assert!(group(&harness, "ns1") < group(&harness, "ns2"));
    // Silence.
    let later = noon() + SignedDuration::from_secs(1000);
    assert!(arranges(&mut harness, |harness| harness.clock(later)));
    let moved = presence_message(answer("ns2", "test", "dns"));
    assert!(arranges(&mut harness, |harness| harness.receive(later, [moved])));
    let new = presence_message(answer("new1", "test", "dns"));
    assert!(arranges(&mut harness, |harness| harness.receive(later, [new])));
}

/// A console that counts all hosts of this one for the first time.
fn recounted(harness: &Harness) -> App {
    let (options, now) = (harness.app.options.clone(), harness.app.now);
    let mut fresh = App::new(options, &Inventory::default(), harness.app.size, now);
    fresh.fleet = harness.app.fleet.clone();
    fresh.table.sort = harness.app.table.sort;
    update(&mut fresh, ConsoleEvent::Frame);
    fresh
}

/// The counts of a fresh console; it knows of no deployment.
fn expected(harness: &Harness, fresh: &App) -> FleetCounts {
    FleetCounts { deployments: harness.app.counts.deployments, ..fresh.counts }
}

proptest! {
    #[test]
    fn the_counts_follow_the_time(steps in prop::collection::vec((-60_i64..400, 0..6_u8, 0..5_u8), 1..60)) {
        let mut harness = fleet();
        let mut now = noon();
        for (seconds, host, kind) in steps {
            now += SignedDuration::from_secs(seconds);
            let name = ["ns1", "ns2", "gw1", "db1", "web1", "new1"][usize::from(host)];
            let mut presence = answer(name, "prod", "dns");
            match kind {
                0 => {}
                1 => (presence.online, presence.restarting) = (Some(false), Some(true)),
                2 => presence.online = Some(false),
                3 => presence.instance = Some("another-instance".into()),
                // Silence of the server does not count as silence of the hosts, so both are tried.
                _ => harness.silent_clock(now),
            }
            harness.clock(now);
            if kind < 4 {
                harness.receive(now, [presence_message(presence)]);
            }
            harness.apply(ConsoleEvent::Frame);
            let fresh = recounted(&harness);
            prop_assert_eq!(harness.app.counts, expected(&harness, &fresh));
            let order = |app: &App| app.table.listed().to_vec();
            prop_assert_eq!(order(&harness.app), order(&fresh));
        }
    }
}

#[test]
fn the_counts_are_those_of_all_hosts_after_any_report() {
    let mut harness = fleet();
    let mut broken = answer("ns2", "prod", "dns");
    broken.failed_units = vec!["a.service".to_owned(), "b.service".to_owned()];
    let mut seq = 4_000_000;
    let mut next = |mut report: homelab_deploy::protocol::DeployReport| {
        seq += 1;
        report.seq = Some(seq);
        report_message(report)
    };
    let steps = [
        presence_message(broken),
        next(failed("gw1", "e1")),
        next(building("gw1", "e2")),
        next(report("gw1", "e2", Status::Completed)),
        presence_message(answer("ns2", "test", "web")),
        presence_message(answer("new1", "test", "dns")),
        next(failed("web1", "e3")),
        next(building("db1", "e4")),
    ];
    for (at, step) in steps.into_iter().enumerate() {
        harness.receive(noon(), [step]);
        harness.apply(ConsoleEvent::Frame);
        let mut fresh = recounted(&harness);
        assert_eq!(harness.app.counts, expected(&harness, &fresh), "after step {at}");
        harness.type_text("t");
        let grouped = harness.text();
        fresh.table.grouped = true;
        fresh.table.invalidate();
        update(&mut fresh, ConsoleEvent::Frame);
        let fresh = homelab_deploy::tui::render_text(&fresh);
        let headings = |text: &str| {
            text.lines().filter(|line| line.contains("▾ tier")).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(headings(&grouped), headings(&fresh), "after step {at}");
        assert!(!headings(&grouped).is_empty(), "{grouped}");
        harness.type_text("t");
    }
}
