//! Messages from the network, and how they change the screen.

use crate::harness::{
    Harness, PLAIN, ago, answer, building, failed, name, noon, presence_message, report, report_message,
};
use crossterm::event::KeyCode;
use homelab_deploy::client::{DeploymentSummary, HostResult, LogEvent, ResultKind};
use homelab_deploy::nats::PermissionViolation;
use homelab_deploy::protocol::{ErrorCode, Inbound, PhaseName, Status};
use homelab_deploy::tui::{
    ConnectionStatus, ConsoleEvent, Context, Effect, ErrorDialog, LogKey, SentDeploymentEvent,
};
use jiff::SignedDuration;
use std::sync::Arc;

/// The row of a host, without the frame.
fn row(harness: &mut Harness, host: &str) -> String {
    let text = harness.text();
    let row = text.lines().find(|line| line.split_whitespace().any(|word| word == host));
    let words = row.unwrap_or_else(|| panic!("no {host} in\n{text}")).split_whitespace();
    words.filter(|word| !["│", "│▸", "▸"].contains(word)).collect::<Vec<_>>().join(" ")
}

#[test]
fn each_host_state_is_shown() {
    let mut harness = Harness::fleet(130, 40, PLAIN);
    for (host, expected) in [
        ("db1", "db1 prod db ■ held held: the disk is being replaced 3f2a91c 4 s"),
        ("gw1", "gw1 prod router ↻ needs reboot runs an older kernel or initrd 3f2a91c 4 s"),
        ("ns1", "ns1 prod dns ▶ build 12/40 ━╸──── linux-6.12.9 about 1:40 left 3f2a91c → 4 s"),
        ("ns2", "ns2 prod dns ● idle 3f2a91c 2 d 4 s"),
        ("old1", "old1 test legacy ● idle 4 s"),
        (
            "web1",
            "web1 test web ✗ rolled back ━━━━✗· the health check did not succeed within 60 s 3f2a91c 4 s",
        ),
        ("web9", "web9 test web ◐ stale silent 4 min 3f2a91c 4 min"),
        ("web10", "web10 test web ○ offline silent 11 min 3f2a91c 11 min"),
    ] {
        assert_eq!(row(&mut harness, host), expected);
    }
    let counts = "8 hosts  ░░░▒▓▓▓▓▓▓▓█  ✗ 1 failed  ○ 1 offline  ◐ 1 stale  ↻ 1 needs reboot  ■ 1 held  ▶ 1 deploying  ● 6 online";
    assert!(harness.text().contains(counts), "{}", harness.text());
}

#[test]
fn a_host_without_messages_becomes_stale_and_an_announced_stop_is_immediate() {
    let mut harness = Harness::new(120, 40, PLAIN);
    harness.receive(noon(), [presence_message(answer("web1", "test", "web"))]);
    for (after, state) in [(179, "● idle"), (181, "◐ stale"), (599, "◐ stale"), (601, "○ offline")] {
        harness.clock(noon() + SignedDuration::from_secs(after));
        assert!(row(&mut harness, "web1").contains(state), "{after}: {}", row(&mut harness, "web1"));
    }
    let mut bye = answer("web1", "test", "web");
    bye.online = Some(false);
    harness.receive(ago(-700), [presence_message(bye.clone())]);
    harness.clock(ago(-701));
    assert!(row(&mut harness, "web1").contains("○ offline"));
    bye.restarting = Some(true);
    harness.receive(ago(-702), [presence_message(bye)]);
    harness.clock(ago(-703));
    assert!(row(&mut harness, "web1").contains("↺ restarting"));
}

#[test]
fn reports_in_any_order_give_the_same_frame() {
    let mut done = report("web1", "d7", Status::Completed);
    done.seq = Some(1_000_009);
    let mut started = building("web1", "d7");
    started.seq = Some(1_000_003);
    let early = building("web1", "d7");
    let pictures = [
        vec![early.clone(), started.clone(), done.clone()],
        vec![done.clone(), started.clone(), early.clone()],
        vec![early.clone(), done.clone(), done.clone(), early.clone(), started.clone(), done],
    ]
    .map(|reports| {
        let mut harness = Harness::new(120, 40, PLAIN);
        harness.receive(noon(), [presence_message(answer("web1", "test", "web"))]);
        harness.receive(noon(), reports.into_iter().map(report_message));
        harness.text()
    });
    assert!(pictures[0].contains("● idle") && pictures[0].contains("switch main b04c7de by alice@laptop"));
    assert!(pictures.iter().all(|picture| *picture == pictures[0]));
}

#[test]
fn a_host_that_was_never_announced_is_shown_by_its_report() {
    let mut harness = Harness::new(120, 40, PLAIN);
    harness.receive(noon(), [report_message(building("ghost", "d1"))]);
    assert!(row(&mut harness, "ghost").starts_with("ghost ▶ build 12/40"));
    harness.type_text("d");
    let text = harness.text();
    assert!(text.contains("unknown host ghost"), "{text}");
}

#[test]
fn unreadable_messages_are_counted_and_quoted_escaped() {
    let mut harness = Harness::new(120, 40, PLAIN);
    let bad =
        Inbound::parse("deploy.responses.d1", b"{\"hostname\":\"\x1b[31mx\",\"status\":7}").unwrap_err();
    harness.apply(ConsoleEvent::Messages(vec![Err(bad)], noon()));
    let text = harness.text();
    assert!(text.contains("! 1 unreadable") && text.contains("ignored an unreadable message: "), "{text}");
    assert!(!text.contains('\u{1b}'));
}

#[test]
fn clock_differences_of_hours_are_harmless() {
    for hours in [-9, 9, -90_000, 9_000] {
        let mut harness = Harness::new(130, 40, PLAIN);
        harness.receive(noon(), [presence_message(answer("web1", "test", "web"))]);
        let mut done = report("web1", "d7", Status::Completed);
        done.at = Some(noon() + SignedDuration::from_hours(hours));
        harness.receive(noon(), [report_message(done)]);
        let row = row(&mut harness, "web1");
        assert!(row.starts_with("web1 test web ● idle"), "{row}");
        assert!(
            row.ends_with(if hours > 0 {
                "0 s 0 s"
            } else if hours == -9 {
                "9 h 0 s"
            } else {
                "3750 d 0 s"
            }),
            "{row}"
        );
    }
}

#[test]
fn the_connection_state_is_shown() {
    let mut harness = Harness::fleet(120, 40, PLAIN);
    let lost = ConnectionStatus {
        connects: 1,
        reason: Some("the connection was lost".to_owned()),
        next_try: Some(noon() + SignedDuration::from_secs(3)),
        ..ConnectionStatus::default()
    };
    harness.connect(lost.clone());
    assert!(harness.text().contains("○ the connection was lost, retrying in 3 s"), "{}", harness.text());
    harness.clock(noon() + SignedDuration::from_secs(2));
    assert!(harness.text().contains("retrying in 1 s"));
    harness.clock(noon() + SignedDuration::from_secs(4));
    assert!(!harness.text().contains("retrying in"));
    harness.connect(ConnectionStatus { up: true, connects: 2, ..ConnectionStatus::default() });
    assert!(harness.text().contains("reconnected; querying all hosts"));
    harness.connect(ConnectionStatus { up: true, connects: 2, dropped: 7, ..ConnectionStatus::default() });
    assert!(harness.text().contains("! 7 dropped"));
}

#[test]
fn a_permission_violation_is_shown_once() {
    let mut harness = Harness::fleet(120, 40, PLAIN);
    let refusal = || {
        ConsoleEvent::PermissionDenied(PermissionViolation {
            is_publish: true,
            subject: "deploy.discover".to_owned(),
        })
    };
    harness.apply(refusal());
    let text = harness.text();
    assert!(text.contains("the server refused deploy.discover: this key has no permission"), "{text}");
    harness.press(KeyCode::Enter);
    harness.apply(refusal());
    assert_eq!(harness.app.context(), Context::Fleet);
}

/// A deployment to `web1` that this console sent.
fn deployed(harness: &mut Harness) -> homelab_deploy::client::Plan {
    harness.type_text("/web1");
    harness.press(KeyCode::Enter);
    harness.type_text("d");
    harness.press(KeyCode::Enter);
    let plan = harness.effects().into_iter().find_map(|effect| match effect {
        Effect::Send(plan) => Some(*plan),
        _ => None,
    });
    plan.unwrap()
}

#[test]
fn each_reply_is_shown() {
    let mut harness = Harness::fleet(120, 40, PLAIN);
    let plan = deployed(&mut harness);
    let mut refused = report("web1", plan.id.as_str(), Status::Rejected);
    refused.error = Some(ErrorCode::AlreadyRunning);
    refused.message = "job d9 runs".to_owned();
    harness.receive(noon(), [report_message(refused.clone())]);
    assert!(row(&mut harness, "web1").contains("✗ rejected"));
    assert!(harness.text().contains("switch by alice@laptop was rejected (already running): job d9 runs"));
    let result = |host: &str, result, report| HostResult {
        host: name(host),
        instance: None,
        result,
        last_seen: None,
        report,
    };
    let hosts = vec![
        result("web1", ResultKind::Rejected, Some(Arc::new(refused))),
        result("web2", ResultKind::Silent, None),
        result("web3", ResultKind::Completed, None),
    ];
    harness.apply(ConsoleEvent::SentDeployment(
        plan.id.clone(),
        SentDeploymentEvent::Finished(DeploymentSummary::new(plan.id, hosts)),
    ));
    assert!(harness.text().contains("switch main on web1: 1 completed, 1 rejected (web1), 1 silent (web2)"));
    // A job that starts afterwards replaces the result.
    let mut next = building("web1", "d10");
    next.seq = Some(1_000_100);
    harness.receive(noon(), [report_message(next)]);
    assert!(row(&mut harness, "web1").contains("▶ build"));
}

#[test]
fn a_failed_send_is_shown_in_an_error_dialog() {
    let mut harness = Harness::fleet(120, 40, PLAIN);
    let plan = deployed(&mut harness);
    let reason = "the server refused deploy.test.web1: this key has no permission to publish there";
    harness.apply(ConsoleEvent::SentDeployment(plan.id, SentDeploymentEvent::Failed(reason.to_owned())));
    let text = harness.text();
    assert!(
        text.contains("switch main on web1") && text.contains("the server refused deploy.test.web1"),
        "{text}"
    );
    harness
        .apply(ConsoleEvent::Error(ErrorDialog { title: "A fault".to_owned(), text: "second".to_owned() }));
    assert!(harness.text().contains("1 of 2"));
    harness.press(KeyCode::Esc);
    assert!(harness.text().contains("second"));
    harness.press(KeyCode::Esc);
    assert_eq!(harness.app.context(), Context::Fleet);
}

#[test]
fn log_lines_are_shown_escaped_and_only_of_this_job() {
    let mut harness = Harness::fleet(120, 40, PLAIN);
    harness.go_to("ns1");
    let key = |job: &str| LogKey { host: name("ns1"), job: job.parse().unwrap() };
    let text = |text: &str| LogEvent::Text { offset: 0, text: text.to_owned() };
    harness.apply(ConsoleEvent::Log(
        key("d2"),
        text("\u{1b}]0;owned\u{7}\u{1b}[2Jred\tgrün 部屋 a\u{200b}\u{202e}b\r\n"),
    ));
    harness.apply(ConsoleEvent::Log(key("d1"), text("of another job\n")));
    harness.apply(ConsoleEvent::Log(key("d2"), text("the last line has no")));
    let shown = harness.text();
    assert!(shown.contains("red grün 部屋 ab") && shown.contains("the last line has no "), "{shown}");
    assert!(!shown.contains("another") && !shown.contains("owned"), "{shown}");
    harness.apply(ConsoleEvent::Log(key("d2"), text(" end\n")));
    assert!(harness.text().contains("the last line has no end"));
    harness.apply(ConsoleEvent::Log(key("d2"), text(&"部".repeat(100_000))));
    assert!(harness.text().lines().all(|line| line.chars().count() <= 120));
}

#[test]
fn the_pane_shows_why_a_host_failed() {
    let mut harness = Harness::fleet(80, 24, PLAIN);
    harness.go_to("web1");
    harness.apply(ConsoleEvent::Log(
        LogKey { host: name("web1"), job: "d1".parse().unwrap() },
        LogEvent::Text { offset: 0, text: "curl: (7) connection refused\n".to_owned() },
    ));
    let text = harness.text();
    for part in [
        "✗ verify",
        "│ the health check did not succeed within 60 s",
        "failed units: nginx.service",
        "curl: (7) connection refused",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let mut stranger = failed("web1", "d1");
    stranger.phases.0.truncate(1);
    stranger.phases.0[0].name = PhaseName::Other("warm-up".to_owned().into());
    harness.receive(noon(), [report_message(stranger)]);
    harness.text();
}
