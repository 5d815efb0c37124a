//! The order of the hosts and their counts are kept up to date without new work for every report.

use crate::harness::{
    Harness, PLAIN, answer, building, failed, noon, presence_message, report, report_message,
};
use homelab_deploy::client::Inventory;
use homelab_deploy::protocol::{Inbound, Status};
use homelab_deploy::tui::{App, ConsoleEvent, Sort};
use jiff::SignedDuration;

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
        // A console that counts all of them for the first time.
        let mut fresh =
            App::new(harness.app.options.clone(), &Inventory::default(), harness.app.size, harness.app.now);
        fresh.fleet = harness.app.fleet.clone();
        homelab_deploy::tui::update(&mut fresh, ConsoleEvent::Frame);
        let mut expected = fresh.counts;
        expected.deployments = harness.app.counts.deployments;
        assert_eq!(harness.app.counts, expected, "after step {at}");
        harness.type_text("t");
        let grouped = harness.text();
        fresh.table.grouped = true;
        fresh.table.invalidate();
        homelab_deploy::tui::update(&mut fresh, ConsoleEvent::Frame);
        let fresh = homelab_deploy::tui::render_text(&fresh);
        let headings = |text: &str| {
            text.lines().filter(|line| line.contains("▾ tier")).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(headings(&grouped), headings(&fresh), "after step {at}");
        assert!(!headings(&grouped).is_empty(), "{grouped}");
        harness.type_text("t");
    }
}
