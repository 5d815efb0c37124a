//! Snapshots of the screens, with their styles.

use crate::harness::{
    COLOUR, Harness, PLAIN, ago, answer, assert_frame, failed, name, noon, presence_message, report_message,
    rollout,
};
use crossterm::event::KeyCode;
use homelab_deploy::client::{LogEvent, Reply};
use homelab_deploy::protocol::Id;
use homelab_deploy::tui::{ConnectionStatus, ConsoleEvent, ErrorDialog, LogKey, Theme};
use jiff::SignedDuration;
use ratatui::style::{Color, Modifier};

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 60)];

/// Snapshots of a state of the fleet at each size, with all styles.
pub(crate) fn snapshots(what: &str, bring: impl Fn(&mut Harness)) {
    for (width, height) in SIZES {
        let mut harness = Harness::fleet(width, height, COLOUR);
        bring(&mut harness);
        assert_frame!(format!("{what}-{width}x{height}"), harness);
    }
}

fn log(harness: &mut Harness, host: &str, job: &str, text: &str) {
    let key = LogKey { host: host.parse().unwrap(), job: Id::new(job).unwrap() };
    harness.apply(ConsoleEvent::Log(key, LogEvent::Text { offset: 0, text: text.to_owned() }));
}

#[test]
fn a_host_at_work() {
    snapshots("working", |harness| {
        harness.go_to("ns1");
        log(harness, "ns1", "d2", "resolving main\nbuilding linux-6.12.9.drv\nunpacking sources\n");
        harness.type_text(" ");
        harness.type_text("k");
    });
}

#[test]
fn a_host_that_failed() {
    snapshots("failed", |harness| {
        harness.go_to("web1");
        log(harness, "web1", "d1", "curl: (7) connection refused\nactivating the previous system\n");
    });
}

#[test]
fn a_filter_being_typed() {
    snapshots("filter", |harness| harness.type_text("/tier:test seen>x"));
}

#[test]
fn the_deploy_form() {
    snapshots("form", |harness| {
        harness.go_to("web1");
        harness.type_text("aj d");
    });
}

/// A host with all facts, whose last deployment failed and was rolled back.
fn broken(harness: &mut Harness) {
    let mut known = answer("web1", "test", "web");
    known.system =
        Some("/nix/store/8h3k1q5y0v2r9d7c4x6b1m0n3l5p7s9f-nixos-system-web1-26.05.20261119".into());
    known.booted_system =
        Some("/nix/store/0a1b2c3d4f5g6h7i8j9k0l1m2n3p4q5r-nixos-system-web1-26.05.20261001".into());
    known.reboot_needed = Some(true);
    known.version = Some("0.1.0".into());
    known.booted_at = Some(ago(11 * 86_400));
    (known.nix_free_bytes, known.boot_free_bytes) = (Some(120 << 30), Some(312 << 20));
    known.flake_url = Some("git+https://git.example.org/fleet".into());
    known.failed_units = vec!["smartd.service".to_owned()];
    known.warnings = vec!["the clock is not synchronised".to_owned()];
    let mut job = failed("web1", "d1");
    job.diagnostics =
        Some("curl: (7) connection refused\nnginx.service: Failed with result 'exit-code'.\n".to_owned());
    harness.receive(ago(4), [presence_message(known), report_message(job)]);
}

#[test]
fn the_screen_of_a_host_that_failed() {
    snapshots("host", |harness| {
        broken(harness);
        harness.open("web1");
        harness.type_text("jj");
    });
}

#[test]
fn the_screen_of_a_busy_host_without_history() {
    snapshots("host-working", |harness| {
        harness.go_to("ns1");
        harness.press(KeyCode::Enter);
        harness.apply(ConsoleEvent::History(name("ns1"), Ok(Reply::NoAnswer)));
        harness.apply(ConsoleEvent::Frame);
        log(harness, "ns1", "d2", "resolving main\nbuilding linux-6.12.9.drv\nunpacking sources\n");
    });
}

#[test]
fn the_form_of_a_rollback() {
    snapshots("rollback", |harness| {
        harness.open("ns2");
        harness.type_text("jjb");
    });
}

#[test]
fn the_form_of_a_dry_run() {
    snapshots("diff", |harness| {
        harness.type_text("  D");
    });
}

#[test]
fn the_help() {
    snapshots("help", |harness| harness.type_text("?"));
}

#[test]
fn a_question() {
    snapshots("confirm", |harness| {
        harness.go_to("ns1");
        harness.type_text("c");
    });
}

#[test]
fn an_error() {
    snapshots("error", |harness| {
        let text = "the server refused deploy.prod.ns1: this key has no permission to publish there";
        harness.apply(ConsoleEvent::Error(ErrorDialog {
            title: "switch main on ns1".to_owned(),
            text: text.to_owned(),
        }));
    });
}

#[test]
fn a_lost_connection() {
    snapshots("disconnected", |harness| {
        harness.connect(ConnectionStatus {
            connects: 1,
            reason: Some("the connection was lost".to_owned()),
            next_try: Some(noon() + SignedDuration::from_secs(3)),
            ..ConnectionStatus::default()
        });
    });
}

#[test]
fn past_notices() {
    snapshots("messages", |harness| {
        harness.go_to("web1");
        harness.type_text("y");
        harness.clock(noon() + SignedDuration::from_secs(5));
        harness.connect(ConnectionStatus {
            connects: 1,
            reason: Some("the connection was lost".to_owned()),
            ..ConnectionStatus::default()
        });
        harness.connect(ConnectionStatus { up: true, connects: 2, ..ConnectionStatus::default() });
        harness.answer(noon() + SignedDuration::from_secs(5));
        harness.type_text(":messages");
        harness.press(KeyCode::Enter);
    });
}

#[test]
fn all_builds() {
    snapshots("builds", |harness| {
        crate::builds::receive(harness);
        harness.type_text("B");
    });
}

#[test]
fn one_build() {
    snapshots("build", |harness| {
        crate::builds::receive(harness);
        harness.type_text("B");
        harness.press(KeyCode::Enter);
    });
}

#[test]
fn running_and_interrupted_rollouts() {
    snapshots("rollouts", |harness| {
        harness.app.table.sort = homelab_deploy::tui::Sort::Attention;
        harness.app.table.invalidate();
        harness.app.restore_rollouts(vec![crate::rollouts::status_of("i1", "running", 1)]);
        rollout(harness);
        harness.clock(noon() + SignedDuration::from_secs(20));
    });
}

#[test]
fn an_interrupted_rollout() {
    snapshots("rollout-interrupted", |harness| {
        harness.app.restore_rollouts(vec![crate::rollouts::status_of("i1", "running", 1)]);
        harness.clock(noon());
        harness.type_text("v");
        harness.press(KeyCode::Enter);
    });
}

#[test]
fn leaving_with_batches_that_are_not_sent() {
    snapshots("leave", |harness| {
        harness.type_text(":deploy tier=test batch=1");
        harness.press(KeyCode::Enter);
        harness.press(KeyCode::Enter);
        harness.press(KeyCode::Esc);
        harness.type_text("q");
    });
}

#[test]
fn a_list_that_is_filtered_and_sorted() {
    snapshots("deployments-filtered", |harness| {
        rollout(harness);
        harness.type_text("vss/alice|bob");
    });
}

#[test]
fn nothing_to_show_yet() {
    let mut harness = Harness::new(80, 24, COLOUR);
    insta::assert_snapshot!(harness.text());
}

#[test]
fn a_small_terminal_shows_the_minimum_size() {
    for (width, height) in [(39, 10), (40, 9), (20, 3), (1, 1), (0, 0)] {
        let mut harness = Harness::fleet(width, height, COLOUR);
        let message: String = harness.text().chars().filter(|c| !c.is_whitespace()).collect();
        let whole = "needsatleast40×10";
        assert!(
            message == whole
                || message.ends_with('…') && whole.starts_with(message.trim_end_matches('…'))
                || message.is_empty(),
            "{message}"
        );
        assert_eq!(message.is_empty(), width == 0);
    }
    assert!(Harness::fleet(40, 10, COLOUR).text().contains("▸  db1"));
}

#[test]
fn columns_are_dropped_by_priority_but_never_the_name() {
    let mut before = usize::MAX;
    for (width, columns) in [
        (200, "HOST TIER ROLE STATE PHASES WHAT TO KNOW RUNS GEN DEPLOYED SYSTEM STORE FREE BOOT FREE SEEN"),
        (150, "HOST TIER ROLE STATE PHASES WHAT TO KNOW RUNS GEN DEPLOYED SEEN"),
        (120, "HOST TIER ROLE STATE PHASES WHAT TO KNOW RUNS SEEN"),
        (80, "HOST TIER ROLE STATE WHAT TO KNOW RUNS"),
        (65, "HOST STATE WHAT TO KNOW RUNS"),
        (40, "HOST STATE"),
    ] {
        let text = Harness::fleet(width, 24, PLAIN).text();
        let heading = text.lines().find(|line| line.contains("  HOST ")).unwrap();
        let words: Vec<_> =
            heading.split_whitespace().filter(|word| word.chars().all(|c| c.is_ascii_uppercase())).collect();
        assert_eq!(words.join(" "), columns, "{width}:\n{text}");
        assert!(words.len() <= before);
        before = words.len();
    }
}

#[test]
fn without_colour_only_modifiers_are_used() {
    let mut harness = Harness::fleet(120, 40, PLAIN);
    harness.go_to("web1");
    let buffer = harness.draw();
    assert!(buffer.content().iter().all(|cell| (cell.fg, cell.bg) == (Color::Reset, Color::Reset)));
    let reversed = |line: u16| {
        let cells = (0..120).filter(|x| buffer[(*x, line)].modifier.contains(Modifier::REVERSED));
        cells.map(|x| buffer[(x, line)].symbol()).collect::<String>()
    };
    let text = harness.text();
    let row = |host: &str| u16::try_from(text.lines().position(|line| line.contains(host)).unwrap()).unwrap();
    assert_eq!(reversed(row("web1")).chars().count(), 118, "the row of the selected host is one even bar");
    assert_eq!(reversed(1), "✗ 1 failed", "the worst count");
    assert_eq!(reversed(row("gw1")), "", "a lesser problem");
    harness.go_to("gw1");
    let buffer = harness.draw();
    let cells = (0..120).map(|x| &buffer[(x, row("web1"))]);
    let failed: String = cells
        .filter(|cell| cell.modifier.contains(Modifier::REVERSED))
        .map(ratatui::buffer::Cell::symbol)
        .collect();
    assert_eq!(failed, "✗ rolled back✗", "the state and the failed phase");
}

#[test]
fn without_unicode_all_is_ascii() {
    for keys in ["", "?", "d", "/tier:prod"] {
        let mut harness = Harness::fleet(120, 40, Theme::new(false, false));
        harness.go_to("ns1");
        harness.type_text(keys);
        let text = harness.text();
        assert!(
            text.is_ascii(),
            "{:?} in\n{text}",
            text.chars().filter(|c| !c.is_ascii()).collect::<String>()
        );
    }
}

#[test]
fn a_row_in_sight_needs_no_scrolling_and_one_out_of_sight_scrolls() {
    let mut harness = Harness::fleet(60, 10, PLAIN);
    harness.press(KeyCode::End);
    let text = harness.text();
    assert!(text.contains("▸  web10") && !text.contains("db1"), "{text}");
    harness.press(KeyCode::Home);
    assert!(harness.text().contains("▸  db1"));
    harness.clock(ago(-5));
    assert!(harness.text().contains("▸  db1"));
}
