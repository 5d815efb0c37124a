//! The contents of the deployment screens.

use crate::harness::{Harness, PLAIN, ago, building, name, noon, report, report_message, rollout};
use crate::keys::keys;
use crate::screens::snapshots;
use crossterm::event::KeyCode;
use homelab_deploy::protocol::{Action, Changes, PackageChange, PhaseName, Status};
use homelab_deploy::tui::{ConsoleEvent, Context, Theme};
use jiff::SignedDuration;
use ratatui::buffer::Cell;
use ratatui::layout::Size;
use ratatui::style::Color;

/// Two running and two past deployments.
fn harness() -> Harness {
    let mut harness = Harness::fleet(120, 40, PLAIN);
    rollout(&mut harness);
    harness
}

#[test]
fn a_host_that_stops_reporting_is_unknown_and_not_running() {
    let mut harness = harness();
    harness.clock(noon() + SignedDuration::from_secs(43));
    keys(&mut harness, "v");
    let text = harness.text();
    assert!(text.contains("0 running, 4 known"), "{text}");
    keys(&mut harness, "g\n");
    let text = harness.text();
    assert!(
        text.contains("ns1     ◐ unknown") && text.contains("in build 12/40, last seen 47 s ago"),
        "{text}"
    );
}

#[test]
fn unknown_values_of_newer_peers_are_shown_escaped() {
    let mut harness = harness();
    let mut strange = building("web1", "e1");
    strange.status = Status::from("pa\u{1b}[2Jused");
    strange.action = Some(Action::from("mi\u{1b}[31mgrate"));
    (strange.revision, strange.issuer) = (Some("ma\u{7}in".into()), Some("al\u{202e}ice".into()));
    strange.phases.0[1].name = PhaseName::from("warm\u{1b}[2J-up");
    let mut refused = strange.clone();
    refused.hostname = name("web9");
    refused.status = Status::Rejected;
    refused.error = Some("moon\u{1b}[2J-phase".into());
    refused.message = "not \u{1b}]0;owned\u{7}now".to_owned();
    harness.receive(noon(), [report_message(strange), report_message(refused)]);
    keys(&mut harness, "v");
    let text = harness.text();
    assert!(text.contains("migrate") && text.contains("alice") && text.contains("main b04c7de"), "{text}");
    keys(&mut harness, "\n");
    let text = harness.text();
    for part in ["web9: moon-phase: not now", "▶ warm-up 12/40", "! rejected"] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'));
}

#[test]
fn dry_run_changes_are_shown_and_can_be_scrolled() {
    let mut harness = harness();
    let mut tried = report("web1", "t1", Status::Completed);
    tried.action = Some(Action::DryActivate);
    let package = |name: &str, from: Option<&str>, to: Option<&str>| PackageChange {
        name: name.to_owned(),
        from: from.map(str::to_owned),
        to: to.map(str::to_owned),
    };
    tried.changes = Some(Box::new(Changes {
        units_restarted: vec!["nginx.service".to_owned(), "sshd\u{1b}[2J.service".to_owned()],
        units_stopped: vec!["old.service".to_owned()],
        units_started: vec!["new.service".to_owned()],
        packages: vec![
            package("linux", Some("6.12.8"), Some("6.12.9")),
            package("htop", None, Some("3.4")),
            package("nano", Some("8.0"), None),
        ],
        bytes: Some(-(412 << 20)),
    }));
    harness.receive(noon(), [report_message(tried)]);
    keys(&mut harness, "vjj\n");
    let text = harness.text();
    for part in [
        "changes 3 packages, -412 MiB, 4 units",
        "linux 6.12.8 → 6.12.9  +htop 3.4  -nano 8.0",
        "stops old.service",
        "starts new.service",
        "restarts nginx.service, sshd.service",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(!text.contains("J K scroll"));
    // If it does not fit, it scrolls up to its end.
    harness.apply(ConsoleEvent::Resize(Size { width: 60, height: 17 }));
    let first = harness.text();
    assert!(first.contains("J K scroll") && !first.contains("restarts nginx"), "{first}");
    keys(&mut harness, &"J".repeat(100));
    let last = harness.text();
    assert!(last.contains("restarts nginx.service"), "{last}");
    keys(&mut harness, "K");
    assert_ne!(harness.text(), last);
    keys(&mut harness, "jk");
    assert_eq!(harness.text(), first);
}

#[test]
fn the_last_output_of_a_failure_is_in_view() {
    for (height, first) in [(40, "foo-1.2> line 24"), (24, "foo-1.2> line 29")] {
        let mut harness = harness();
        harness.apply(ConsoleEvent::Resize(Size { width: 120, height }));
        keys(&mut harness, "vj\n");
        let text = harness.text();
        assert!(text.contains(first) && text.contains("foo-1.2> line 30"), "{text}");
    }
}

#[test]
fn a_running_build_shows_an_estimate() {
    let mut harness = harness();
    keys(&mut harness, "vj\njjjjjjj");
    let text = harness.text();
    // 12 of 40 builds took 41 s, and the report is 3 s old.
    assert_eq!(text.matches("about 1:40 left").count(), 2, "{text}");
    keys(&mut harness, "\n");
    assert!(
        harness.text().contains("building linux-6.12.9, about 1:40 left (3 running"),
        "{}",
        harness.text()
    );
}

#[test]
fn columns_are_dropped_by_priority() {
    for (typed, width, columns) in [
        ("v", 90, "WHEN WHO ACTION REVISION HOSTS RESULT"),
        ("v", 110, "WHEN WHO ACTION REVISION HOSTS RESULT PROGRESS"),
        ("v", 80, "WHEN WHO ACTION REVISION RESULT"),
        ("v", 77, "WHEN WHO ACTION REVISION RESULT"),
        ("v", 66, "WHEN ACTION REVISION RESULT"),
        ("v", 52, "WHEN REVISION RESULT"),
        ("v", 40, "REVISION RESULT"),
        ("vj\n", 80, "HOST STATE PROGRESS TIME MESSAGE"),
        ("vj\n", 60, "HOST STATE TIME MESSAGE"),
        ("vj\n", 50, "HOST STATE MESSAGE"),
        ("vj\n", 40, "HOST STATE"),
    ] {
        let mut harness = Harness::fleet(width, 24, PLAIN);
        rollout(&mut harness);
        keys(&mut harness, typed);
        let text = harness.text();
        let heading = text.lines().find(|line| line.contains("REVISION") || line.contains("HOST ")).unwrap();
        let words: Vec<_> = heading.split_whitespace().filter(|word| *word != "│").collect();
        assert_eq!(words.join(" "), columns, "{width}\n{text}");
    }
}

#[test]
fn a_forgotten_deployment_is_reported() {
    let mut harness = harness();
    keys(&mut harness, "vG\n");
    assert!(harness.text().contains("ns2"));
    let many = (0..250).map(|n| report_message(report("web1", &format!("m{n}"), Status::Completed)));
    harness.receive(ago(0), many);
    let text = harness.text();
    assert!(text.contains("no longer available: too many newer deployments"), "{text}");
    for typed in ["c", "d", "\n", "J", "K", "j"] {
        keys(&mut harness, typed);
    }
    harness.press(KeyCode::Esc);
    assert_eq!(harness.app.context(), Context::Deployments);
}

#[test]
fn snapshots_of_the_deployments() {
    snapshots("deployments", |harness| {
        rollout(harness);
        keys(harness, "vj");
    });
}

#[test]
fn snapshots_of_a_deployment() {
    snapshots("deployment", |harness| {
        rollout(harness);
        keys(harness, "vj\n");
    });
}

#[test]
fn snapshots_of_a_deployment_with_a_running_host_selected() {
    snapshots("deployment-running", |harness| {
        rollout(harness);
        keys(harness, "vj\njjjjjjj");
    });
}

#[test]
fn a_deployment_seen_late_shows_its_start() {
    let mut harness = Harness::new(120, 40, PLAIN);
    let mut done = report("web1", "a", Status::Completed);
    (done.at, done.elapsed_ms) = (Some(ago(7200)), Some(60_000));
    let mut runs = building("web2", "b");
    // The wrong clock of this host only matters for finished jobs.
    (runs.at, runs.elapsed_ms) = (Some(ago(900_000)), Some(130_000));
    let mut ahead = report("web3", "c", Status::Completed);
    ahead.at = Some(ago(-7200));
    harness.receive(noon(), [report_message(done), report_message(runs), report_message(ahead)]);
    keys(&mut harness, "v");
    let text = harness.text();
    let rows = text.lines().skip(4).take(3).map(|row| {
        let words: Vec<_> = row.split_whitespace().skip_while(|word| word.parse::<u64>().is_err()).collect();
        words[..2].join(" ")
    });
    assert_eq!(rows.collect::<Vec<_>>(), ["2 min", "0 s", "2 h"], "{text}");
}

#[test]
fn without_unicode_all_is_ascii_and_without_colour_nothing_is_coloured() {
    for typed in ["v", "vj", "vj\n", "vj\njjjjjjj", "vj\nc", "v?"] {
        let mut harness = Harness::fleet(120, 40, Theme::new(false, false));
        rollout(&mut harness);
        keys(&mut harness, typed);
        let text = harness.text();
        assert!(text.is_ascii(), "{typed}: {:?}", text.chars().filter(|c| !c.is_ascii()).collect::<String>());
        let plain = |cell: &Cell| (cell.fg, cell.bg) == (Color::Reset, Color::Reset);
        assert!(harness.draw().content().iter().all(plain), "{typed}");
    }
}
