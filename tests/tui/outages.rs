//! While the server does not answer, the state in view is the last known one.

use crate::harness::{Harness, PLAIN, ago, answer, building, failed, noon, presence_message, report_message};
use crate::keys::keys;
use homelab_deploy::tui::{ConnectionStatus, Effect, Overlay};
use jiff::{SignedDuration, Timestamp};
use ratatui::style::Modifier;

fn after(seconds: i64) -> Timestamp {
    noon() + SignedDuration::from_secs(seconds)
}

/// Four hosts that announce themselves every minute: `web1` has failed, `web2` works.
fn harness() -> Harness {
    let mut harness = Harness::new(120, 30, PLAIN);
    let hosts = ["web1", "web2", "web3", "web4"].map(|host| presence_message(answer(host, "test", "web")));
    harness.receive(ago(2), hosts);
    harness.receive(ago(1), [report_message(failed("web1", "d1")), report_message(building("web2", "d2"))]);
    harness.clock(noon());
    harness
}

fn down(harness: &mut Harness) {
    let reason = Some("the connection was lost".to_owned());
    harness.connect(ConnectionStatus { connects: 1, reason, ..ConnectionStatus::default() });
}

fn up(harness: &mut Harness) {
    harness.connect(ConnectionStatus { up: true, connects: 2, ..ConnectionStatus::default() });
}

#[track_caller]
fn assert_shows(harness: &mut Harness, expected: &[&str]) {
    let text = harness.text();
    for part in expected {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
}

#[test]
fn ages_stop_while_the_connection_is_down() {
    let mut harness = harness();
    down(&mut harness);
    harness.silent_clock(after(42));
    assert_shows(
        &mut harness,
        &["connection lost 0:42, state as of 12:31:07", "✗ 1 failed", "▶ 1 deploying", "12:31:49"],
    );
    harness.silent_clock(after(3600));
    assert_shows(&mut harness, &["connection lost 1:00:00, state as of 12:31:07", "✗ rolled back", "● 4"]);
    let text = harness.text();
    assert!(!text.contains("stale") && !text.contains("offline"), "{text}");
    let buffer = harness.draw();
    let row = buffer.content().iter().skip(120 * 4).take(120);
    assert!(row.clone().all(|cell| cell.modifier.contains(Modifier::DIM)), "the table is dim");
}

#[test]
fn the_time_without_a_connection_does_not_count_as_silence_of_hosts() {
    let mut harness = harness();
    down(&mut harness);
    harness.silent_clock(after(3600));
    up(&mut harness);
    harness.clock(after(3601));
    let text = harness.text();
    assert!(!text.contains("stale") && !text.contains("offline") && !text.contains("state as of"), "{text}");
    // A host that stays silent now becomes stale after three of its intervals, and later offline.
    harness.clock(after(3600 + 190));
    assert_shows(&mut harness, &["◐ 4 stale", "✗ 1 failed"]);
    harness.clock(after(3600 + 700));
    assert_shows(&mut harness, &["○ 4 offline", "✗ 1 failed", "✗ rolled back", "silent 1 h"]);
}

#[test]
fn a_computer_that_slept_shows_no_host_as_offline() {
    let mut harness = harness();
    // The clock jumps, and the next answer arrives only later.
    harness.silent_clock(after(7200));
    let text = harness.text();
    assert!(!text.contains("stale") && !text.contains("offline"), "{text}");
    harness.answer(after(7201));
    harness.silent_clock(after(7201));
    let text = harness.text();
    assert!(!text.contains("stale") && !text.contains("offline") && !text.contains("no answer"), "{text}");
    // The same if the answer arrives first.
    harness.answer(after(14_000));
    harness.silent_clock(after(14_000));
    let text = harness.text();
    assert!(!text.contains("stale") && !text.contains("offline"), "{text}");
}

#[test]
fn a_silent_host_that_failed_is_still_a_failure() {
    let mut harness = harness();
    harness.clock(after(200));
    assert_shows(&mut harness, &["✗ rolled back", "silent 3 min", "✗ 1 failed", "◐ 4 stale"]);
    harness.clock(after(700));
    assert_shows(&mut harness, &["✗ rolled back", "silent 11 min", "✗ 1 failed", "○ 4 offline"]);
}

#[test]
fn a_server_that_does_not_answer_is_shown_and_nothing_is_sent() {
    let mut harness = harness();
    harness.silent_clock(after(4));
    assert_shows(&mut harness, &["rtt 1.2 ms, 4 s ago"]);
    harness.silent_clock(after(8));
    assert_shows(&mut harness, &["◐ no answer for 8 s", "no answer for 0:08, state as of 12:31:07"]);
    keys(&mut harness, "D");
    harness.effects();
    keys(&mut harness, "\n");
    assert!(!harness.effects().iter().any(|effect| matches!(effect, Effect::Send(_))));
    let Some(Overlay::Form(form)) = &harness.app.overlay else { panic!("no form") };
    assert_eq!(form.error.as_deref(), Some("the server has not answered for 8 s; nothing was sent"));
    harness.answer(after(9));
    harness.silent_clock(after(9));
    let text = harness.text();
    assert!(!text.contains("no answer"), "{text}");
}

#[test]
fn without_hosts_a_missing_connection_is_the_reason() {
    let mut harness = Harness::new(100, 24, PLAIN);
    assert_shows(&mut harness, &["no hosts yet: is a listener running"]);
    down(&mut harness);
    assert_shows(&mut harness, &["not connected: the hosts appear once the server answers"]);
}

#[test]
fn what_was_sent_before_an_outage_stays_in_view() {
    for (width, height) in [(80, 24), (120, 40)] {
        let mut harness = Harness::new(width, height, PLAIN);
        harness.receive(ago(2), [presence_message(answer("web1", "test", "web"))]);
        harness.clock(noon());
        keys(&mut harness, ":deploy web1 branch=main\n\n");
        assert!(harness.effects().iter().any(|effect| matches!(effect, Effect::Send(_))));
        down(&mut harness);
        harness.silent_clock(after(30));
        assert_shows(&mut harness, &["connection lost 0:30", "─ rollouts 1 running ─", "switch main"]);
    }
}
