//! Hosts that need attention: their order, state, count and reason.

use crate::harness::{
    COLOUR, Harness, PLAIN, ago, answer, assert_frame, building, failed, name, noon, presence_message,
    report, report_message,
};
use homelab_deploy::fleet::{LOW_BOOT_BYTES, LOW_STATE_BYTES, LOW_STORE_BYTES};
use homelab_deploy::protocol::{Inbound, PackageChange, Presence, Status};
use homelab_deploy::tui::{Sort, TableRow, Theme};
use jiff::SignedDuration;

const DIAGNOSTICS: &str = "activating the configuration...\n-- journal of nginx.service\n\
    web3 nginx[2914]: nginx: [emerg] bind() to 0.0.0.0:9100 failed (98: Address already in use)\n\
    web3 systemd[1]: Failed to start nginx.\n-- 498 MiB are free on /boot";

fn host(name: &str, change: impl FnOnce(&mut Presence)) -> Inbound {
    let mut host = answer(name, "prod", "web");
    (host.boot_free_bytes, host.nix_free_bytes) = (Some(400 << 20), Some(90 << 30));
    host.state_free_bytes = Some(20 << 30);
    change(&mut host);
    presence_message(host)
}

/// A fleet with each problem, sorted as a new console sorts it.
fn harness(width: u16, height: u16, theme: Theme) -> Harness {
    let mut harness = Harness::new(width, height, theme);
    harness.app.table.sort = Sort::Attention;
    harness.app.table.invalidate();
    harness.receive(ago(400), [host("gone", |_| {})]);
    let mut broken = failed("web3", "d1");
    broken.hostname = name("web3");
    broken.diagnostics = Some(DIAGNOSTICS.to_owned());
    let mut changes = homelab_deploy::protocol::Changes::default();
    let package = PackageChange {
        name: "prometheus-node-exporter".to_owned(),
        from: None,
        to: Some("1.9.0".to_owned()),
    };
    changes.packages = vec![package];
    broken.changes = Some(Box::new(changes));
    harness.receive(
        ago(3),
        [
            host("a1", |_| {}),
            host("boot1", |host| host.boot_free_bytes = Some(31 << 20)),
            host("dns3", |host| host.failed_units = vec!["smartd.service".to_owned()]),
            host("held1", |host| {
                host.held = Some("kernel bisect (alice@laptop, since 2026-11-21T10:00Z)".to_owned());
            }),
            host("state1", |host| host.state_free_bytes = Some(LOW_STATE_BYTES - 1)),
            host("store1", |host| host.nix_free_bytes = Some(LOW_STORE_BYTES - 1)),
            host("up1", |host| host.reboot_needed = Some(true)),
            host("web3", |_| {}),
            host("work1", |_| {}),
            report_message(broken),
            report_message(building("work1", "d2")),
        ],
    );
    harness.clock(noon());
    harness.apply(homelab_deploy::tui::ConsoleEvent::Frame);
    harness
}

/// The names and headings in the order of the table.
fn order(harness: &mut Harness) -> Vec<String> {
    harness.draw();
    let text = |row: &TableRow| match row {
        TableRow::Host(name) => name.to_string(),
        TableRow::Group(group, _) => group.to_string(),
    };
    harness.app.table.rows().iter().map(text).collect()
}

#[track_caller]
fn assert_row(harness: &mut Harness, host: &str, expected: &[&str]) {
    let text = harness.text();
    let row = text.lines().find(|line| line.contains(&format!(" {host} ")) && line.starts_with('│'));
    let row = row.unwrap_or_else(|| panic!("no {host} in\n{text}"));
    for part in expected {
        assert!(row.contains(part), "no {part:?} in {row}");
    }
}

#[test]
fn a_narrow_row_still_says_what_failed_and_which_commit_runs() {
    let mut harness = Harness::new(80, 24, PLAIN);
    let mut broken = failed("a1", "d1");
    "the health check `curl -fsS http://localhost/health` did not succeed within 5 s; the last run ended with exit \
     code 22; rolled back to the previous system"
        .clone_into(&mut broken.message);
    let other = host("b1", |host| host.revision = Some("testing".into()));
    harness.receive(ago(3), [host("a1", |_| {}), other, report_message(broken)]);
    assert_row(&mut harness, "a1", &["✗ rolled back", "health check failed: "]);
    assert_row(&mut harness, "b1", &["● idle", "3f2a91c "]);
    // A wide row has both.
    harness
        .apply(homelab_deploy::tui::ConsoleEvent::Resize(ratatui::layout::Size { width: 200, height: 60 }));
    assert_row(&mut harness, "a1", &["health check failed: curl -fsS http://localhost/health "]);
    assert_row(&mut harness, "b1", &["testing 3f2a91c "]);
}

#[test]
fn what_needs_attention_comes_first_then_what_works() {
    let mut harness = harness(120, 40, PLAIN);
    let expected = [
        "needs attention",
        "web3",
        "dns3",
        "boot1",
        "state1",
        "store1",
        "gone",
        "up1",
        "held1",
        "working",
        "work1",
        "well",
        "a1",
    ];
    assert_eq!(order(&mut harness), expected);
    assert_eq!(harness.app.table.host(), Some(&name("web3")), "the worst host is selected, not a heading");
    harness.type_text("f");
    let faults = order(&mut harness);
    assert_eq!(faults, expected[1..9], "one group needs no heading");
}

#[test]
fn each_problem_has_a_state_a_reason_and_a_count() {
    let mut harness = harness(140, 40, PLAIN);
    let nginx = "nginx: bind() to 0.0.0.0:9100 failed (98: Address already in use)";
    let rows: [(&str, &[&str]); 8] = [
        ("web3", &["✗ rolled back", "━━━━✗·", "Address already in use"]),
        ("dns3", &["! unit failed", "smartd.service failed"]),
        ("boot1", &["! /boot low", "31 MiB free on /boot: the next switch may not fit"]),
        ("store1", &["! store low", "1.9 GiB free in the nix store"]),
        ("state1", &["! state dir low", "1023 MiB free in the state directory"]),
        ("up1", &["↻ needs reboot"]),
        ("held1", &["■ held", "kernel bisect (alice@laptop, since 10:00)"]),
        ("gone", &["◐ stale", "silent 6 min"]),
    ];
    for (host, expected) in rows {
        assert_row(&mut harness, host, expected);
    }
    let counts =
        "✗ 1 failed  ! 1 failed unit  ! 3 disk low  ◐ 1 stale  ↻ 1 needs reboot  ■ 1 held  ▶ 1 deploying";
    assert!(harness.text().contains(counts), "{}", harness.text());
    let text = harness.text();
    assert!(text.contains(nginx) || text.contains("[emerg] bind()"), "{text}");
    assert!(text.contains("+prometheus-node-exporter 1.9.0 is the only package that changed"), "{text}");
}

#[test]
fn enough_space_is_no_problem() {
    let mut harness = Harness::new(120, 30, PLAIN);
    let enough = |host: &mut Presence| {
        host.boot_free_bytes = Some(LOW_BOOT_BYTES);
        host.nix_free_bytes = Some(LOW_STORE_BYTES);
        host.state_free_bytes = Some(LOW_STATE_BYTES);
    };
    harness.receive(noon(), [host("a1", enough)]);
    assert_row(&mut harness, "a1", &["● idle"]);
    assert!(!harness.text().contains("low"), "{}", harness.text());
}

#[test]
fn a_host_moves_between_the_groups_and_stays_selected() {
    let mut harness = harness(120, 40, PLAIN);
    harness.go_to("a1");
    harness.receive(noon(), [report_message(failed("a1", "d9"))]);
    assert_eq!(order(&mut harness)[..2], ["needs attention", "a1"]);
    assert_eq!(harness.app.table.host(), Some(&name("a1")));
    let done = homelab_deploy::protocol::DeployReport {
        seq: Some(2_000_000),
        at: Some(noon()),
        ..report("a1", "d10", Status::Completed)
    };
    harness.receive(noon(), [report_message(done)]);
    assert_eq!(order(&mut harness).last().map(String::as_str), Some("a1"));
    assert_row(&mut harness, "a1", &["● idle", "deployed 0 s ago"]);
}

#[test]
fn a_group_can_be_folded() {
    let mut harness = harness(120, 40, PLAIN);
    harness.go_to("a1");
    harness.press(crossterm::event::KeyCode::Left);
    assert_eq!(order(&mut harness).last().map(String::as_str), Some("well"));
    assert!(harness.text().contains("▸ well  1 host"), "{}", harness.text());
    harness.press(crossterm::event::KeyCode::Right);
    assert_eq!(order(&mut harness).last().map(String::as_str), Some("a1"));
}

#[test]
fn running_deployments_are_in_view_with_a_bar_by_phases() {
    let mut harness = harness(120, 40, PLAIN);
    let text = harness.text();
    let line =
        text.lines().find(|line| line.contains("▶ switch main")).unwrap_or_else(|| panic!("none in\n{text}"));
    // Prepare is done, and 12 of 40 builds are.
    assert!(line.contains("20 %") && line.contains("━") && line.contains("about 3:10 left"), "{line}");
    assert!(text.contains("rollouts 1 running"), "{text}");
    let done = homelab_deploy::protocol::DeployReport {
        seq: Some(2_000_000),
        ..report("work1", "d2", Status::Completed)
    };
    harness.receive(noon(), [report_message(done)]);
    harness.clock(noon() + SignedDuration::from_secs(1));
    assert!(!harness.text().contains("rollouts"), "{}", harness.text());
}

#[test]
fn snapshots_of_the_console() {
    for (width, height) in [(80, 24), (120, 40), (200, 60)] {
        let mut harness = harness(width, height, COLOUR);
        assert_frame!(format!("attention-{width}x{height}"), harness);
    }
    let mut plain = harness(80, 24, PLAIN);
    assert_frame!("attention-plain-80x24".to_owned(), plain);
    let mut ascii = harness(80, 24, Theme::new(false, false));
    assert_frame!("attention-ascii-80x24".to_owned(), ascii);
}

#[test]
fn hosts_with_the_same_trouble_are_named_in_the_pane() {
    let mut harness = harness(120, 40, PLAIN);
    let also = |host: &str, change: fn(&mut Presence)| self::host(host, change);
    let mut same = failed("web6", "d8");
    same.message = same.message.replace("60 s", "61 s");
    let mut other = failed("web7", "d8");
    "the disk is full".clone_into(&mut other.message);
    harness.receive(
        ago(2),
        [
            also("boot2", |host| host.boot_free_bytes = Some(20 << 20)),
            also("dns5", |host| host.failed_units = vec!["smartd.service".to_owned()]),
            also("dns6", |host| host.failed_units = vec!["other.service".to_owned()]),
            also("web6", |_| {}),
            also("web7", |_| {}),
            report_message(same),
            report_message(other),
        ],
    );
    harness.clock(noon());
    for (host, expected) in [
        ("web3", Some("│ likewise web6 ")),
        ("web6", Some("│ likewise web3 ")),
        ("web7", None),
        ("dns3", Some("│ likewise dns5 ")),
        ("dns6", None),
        ("boot1", Some("│ likewise boot2 ")),
        ("store1", None),
        ("a1", None),
    ] {
        harness.go_to(host);
        let text = harness.text();
        match expected {
            Some(expected) => assert!(text.contains(expected), "{host}: no {expected:?} in\n{text}"),
            None => assert!(!text.contains("likewise"), "{host}:\n{text}"),
        }
    }
    // The only other host with the same failure recovers, and fails again.
    for (n, status) in (2..).zip([Status::Completed, Status::Failed]) {
        let is_same = status == Status::Failed;
        let mut later = failed("web6", "d9");
        later.id = Some(format!("e{n}").parse().unwrap());
        (later.status, later.seq) = (status, Some(1_000_000 + n));
        harness.receive(ago(0), [report_message(later)]);
        harness.go_to("web3");
        let text = harness.text();
        assert_eq!(text.contains("likewise web6 "), is_same, "{text}");
    }
    // Many names are summed up.
    let many = (10..60).map(|n| {
        let mut report = failed(&format!("web{n}"), "d8");
        report.hostname = name(&format!("web{n}"));
        [self::host(&format!("web{n}"), |_| {}), report_message(report)]
    });
    harness.receive(ago(1), many.flatten());
    harness.clock(noon() + SignedDuration::from_secs(1));
    harness.go_to("web3");
    let text = harness.text();
    assert!(text.contains("likewise web6, web10, web11, "), "{text}");
    let line = text.lines().find(|line| line.contains("likewise")).unwrap();
    assert!(line.trim_end_matches([' ', '│']).ends_with(" more"), "{line}");
}

#[test]
fn the_header_has_a_bar_of_the_health() {
    let mut harness = harness(200, 40, PLAIN);
    let header = |harness: &mut Harness| harness.text().lines().nth(1).unwrap().to_owned();
    // 12 hosts: 1 well, 1 working, 8 warned and 2 failed.
    let first = header(&mut harness);
    let bar: String = first.chars().filter(|c| "░▒▓█".contains(*c)).collect();
    assert_eq!(bar.chars().count(), 12, "{first}");
    assert!(bar.starts_with('░') && bar.ends_with('█') && bar.contains('▒') && bar.contains('▓'), "{first}");
    // One failed host of many stays visible.
    harness.receive(ago(1), (0..900).map(|n| host(&format!("n{n}"), |_| {})));
    harness.clock(noon() + SignedDuration::from_secs(1));
    let many = header(&mut harness);
    let bar: String = many.chars().filter(|c| "░▒▓█".contains(*c)).collect();
    assert_eq!(bar, "░░░░░░░░░▒▓█", "{many}");
}
