//! What the network brings, and what becomes of it on the screen.

use crate::stage::{PLAIN, Stage, ago, answer, building, failed, name, noon, present, report, said};
use crossterm::event::KeyCode;
use homelab_deploy::bus::Refusal;
use homelab_deploy::deployer::{HostResult, LogNews, Outcome, Verdict};
use homelab_deploy::protocol::{ErrorCode, Inbound, PhaseName, Status};
use homelab_deploy::tui::{Context, Effect, Event, Fault, LinkState, LogKey, OrderNews};
use jiff::SignedDuration;
use std::sync::Arc;

/// The row of a host, without the border.
fn row(stage: &mut Stage, host: &str) -> String {
    let text = stage.text();
    let row = text.lines().find(|line| line.split_whitespace().any(|word| word == host));
    let words = row.unwrap_or_else(|| panic!("no {host} in\n{text}")).split_whitespace();
    words.filter(|word| !["│", "│▸", "▸"].contains(word)).collect::<Vec<_>>().join(" ")
}

#[test]
fn each_kind_of_host_says_what_it_is() {
    let mut stage = Stage::fleet(130, 40, PLAIN);
    for (host, expected) in [
        ("db1", "db1 prod db ● held main 3f2a91c 140 4 s"),
        ("gw1", "gw1 prod router ↻ reboot main 3f2a91c 140 4 s"),
        ("ns1", "ns1 prod dns ▶ build 12/40 ███████░░░░░░░░░░░░░░░░ 30 % main 3f2a91c 140 4 s"),
        ("ns2", "ns2 prod dns ● idle main 3f2a91c 140 2 d 4 s"),
        ("old1", "old1 test legacy ● idle 4 s"),
        ("web1", "web1 test web ✗ verify rolled back main 3f2a91c 140 4 s"),
        ("web9", "web9 test web ◐ stale main 3f2a91c 140 4 min"),
        ("web10", "web10 test web ○ offline main 3f2a91c 140 11 min"),
    ] {
        assert_eq!(row(&mut stage, host).replace(['█', '░'], ""), expected.replace(['█', '░'], ""));
    }
    let counts = "8 hosts  ● 6 online  ▶ 1 deploying  ✗ 1 failed  ◐ 1 stale  ○ 1 offline  ↻ 1 reboot";
    assert!(stage.text().contains(counts), "{}", stage.text());
}

#[test]
fn silence_ages_a_host_and_goodbye_is_at_once() {
    let mut stage = Stage::new(120, 40, PLAIN);
    stage.hear(noon(), [present(answer("web1", "test", "web"))]);
    for (after, state) in [(179, "● idle"), (181, "◐ stale"), (599, "◐ stale"), (601, "○ offline")] {
        stage.clock(noon() + SignedDuration::from_secs(after));
        assert!(row(&mut stage, "web1").contains(state), "{after}: {}", row(&mut stage, "web1"));
    }
    let mut bye = answer("web1", "test", "web");
    bye.online = Some(false);
    stage.hear(ago(-700), [present(bye.clone())]);
    stage.clock(ago(-701));
    assert!(row(&mut stage, "web1").contains("○ offline"));
    bye.restarting = Some(true);
    stage.hear(ago(-702), [present(bye)]);
    stage.clock(ago(-703));
    assert!(row(&mut stage, "web1").contains("↺ restarting"));
}

#[test]
fn reports_of_any_order_and_kind_end_in_the_same_picture() {
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
        let mut stage = Stage::new(120, 40, PLAIN);
        stage.hear(noon(), [present(answer("web1", "test", "web"))]);
        stage.hear(noon(), reports.into_iter().map(said));
        stage.text()
    });
    assert!(pictures[0].contains("● idle") && pictures[0].contains("switch main b04c7de by alice@laptop"));
    assert!(pictures.iter().all(|picture| *picture == pictures[0]));
}

#[test]
fn a_host_that_was_never_announced_is_shown_by_its_report() {
    let mut stage = Stage::new(120, 40, PLAIN);
    stage.hear(noon(), [said(building("ghost", "d1"))]);
    assert!(row(&mut stage, "ghost").starts_with("ghost ▶ build 12/40"));
    stage.types("d");
    let text = stage.text();
    assert!(text.contains("no host ghost answers or is known"), "{text}");
}

#[test]
fn messages_that_cannot_be_read_are_counted_and_quoted_harmlessly() {
    let mut stage = Stage::new(120, 40, PLAIN);
    let bad =
        Inbound::parse("deploy.responses.d1", b"{\"hostname\":\"\x1b[31mx\",\"status\":7}").unwrap_err();
    stage.tell(Event::Messages(vec![Err(bad)], noon()));
    let text = stage.text();
    assert!(text.contains("! 1 unreadable") && text.contains("a message could not be read: "), "{text}");
    assert!(!text.contains('\u{1b}'));
}

#[test]
fn clocks_that_are_hours_apart_hurt_nothing() {
    for hours in [-9, 9, -90_000, 9_000] {
        let mut stage = Stage::new(130, 40, PLAIN);
        stage.hear(noon(), [present(answer("web1", "test", "web"))]);
        let mut done = report("web1", "d7", Status::Completed);
        done.at = Some(noon() + SignedDuration::from_hours(hours));
        stage.hear(noon(), [said(done)]);
        let row = row(&mut stage, "web1");
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
fn the_link_tells_of_itself() {
    let mut stage = Stage::fleet(120, 40, PLAIN);
    let lost = LinkState {
        connects: 1,
        reason: Some("the connection was lost".to_owned()),
        next_try: Some(noon() + SignedDuration::from_secs(3)),
        ..LinkState::default()
    };
    stage.link(lost.clone());
    assert!(stage.text().contains("○ the connection was lost, again in 3 s"), "{}", stage.text());
    stage.clock(noon() + SignedDuration::from_secs(2));
    assert!(stage.text().contains("again in 1 s"));
    stage.clock(noon() + SignedDuration::from_secs(4));
    assert!(!stage.text().contains("again in"));
    stage.link(LinkState { up: true, connects: 2, ..LinkState::default() });
    assert!(stage.text().contains("connected again; asking every host"));
    stage.link(LinkState { up: true, connects: 2, dropped: 7, ..LinkState::default() });
    assert!(stage.text().contains("! 7 dropped"));
}

#[test]
fn a_refused_subject_is_told_once() {
    let mut stage = Stage::fleet(120, 40, PLAIN);
    let refusal = || Event::Refused(Refusal { publish: true, subject: "deploy.discover".to_owned() });
    stage.tell(refusal());
    let text = stage.text();
    assert!(text.contains("the server refused deploy.discover: this key has no permission"), "{text}");
    stage.press(KeyCode::Enter);
    stage.tell(refusal());
    assert_eq!(stage.app.context(), Context::Fleet);
}

/// A deployment to `web1` that was sent from here.
fn deployed(stage: &mut Stage) -> homelab_deploy::deployer::Plan {
    stage.types("/web1");
    stage.press(KeyCode::Enter);
    stage.types("d");
    for key in [KeyCode::Enter, KeyCode::Enter, KeyCode::Enter, KeyCode::Tab, KeyCode::Enter] {
        stage.press(key);
    }
    let plan = stage.effects().into_iter().find_map(|effect| match effect {
        Effect::Send(plan) => Some(*plan),
        _ => None,
    });
    plan.unwrap()
}

#[test]
fn each_host_s_answer_is_shown() {
    let mut stage = Stage::fleet(120, 40, PLAIN);
    let plan = deployed(&mut stage);
    let mut refused = report("web1", plan.id.as_str(), Status::Rejected);
    refused.error = Some(ErrorCode::AlreadyRunning);
    refused.message = "job d9 runs".to_owned();
    stage.hear(noon(), [said(refused.clone())]);
    assert!(row(&mut stage, "web1").contains("✗ rejected already_running"));
    assert!(stage.text().contains("switch by alice@laptop was rejected (already_running): job d9 runs"));
    let result = |host: &str, verdict, report| HostResult {
        host: name(host),
        instance: None,
        verdict,
        seen: None,
        report,
    };
    let hosts = vec![
        result("web1", Verdict::Rejected, Some(Arc::new(refused))),
        result("web2", Verdict::Silent, None),
        result("web3", Verdict::Completed, None),
    ];
    stage.tell(Event::Order(plan.id.clone(), OrderNews::Ended(Outcome::new(plan.id, hosts))));
    assert!(stage.text().contains("switch main on web1: 1 completed, 1 rejected (web1), 1 silent (web2)"));
    // What begins afterwards takes its place.
    let mut next = building("web1", "d10");
    next.seq = Some(1_000_100);
    stage.hear(noon(), [said(next)]);
    assert!(row(&mut stage, "web1").contains("▶ build"));
}

#[test]
fn what_was_not_sent_is_told_in_a_box() {
    let mut stage = Stage::fleet(120, 40, PLAIN);
    let plan = deployed(&mut stage);
    let reason = "the server refused deploy.test.web1: this key has no permission to publish there";
    stage.tell(Event::Order(plan.id, OrderNews::Failed(reason.to_owned())));
    let text = stage.text();
    assert!(
        text.contains("switch main on web1") && text.contains("the server refused deploy.test.web1"),
        "{text}"
    );
    stage.tell(Event::Fault(Fault { title: "A fault".to_owned(), text: "second".to_owned() }));
    assert!(stage.text().contains("1 of 2"));
    stage.press(KeyCode::Esc);
    assert!(stage.text().contains("second"));
    stage.press(KeyCode::Esc);
    assert_eq!(stage.app.context(), Context::Fleet);
}

#[test]
fn log_lines_are_shown_harmlessly_and_of_this_job_alone() {
    let mut stage = Stage::fleet(120, 40, PLAIN);
    stage.go_to("ns1");
    let key = |job: &str| LogKey { host: name("ns1"), job: job.parse().unwrap() };
    let text = |text: &str| LogNews::Text { offset: 0, text: text.to_owned() };
    stage.tell(Event::Log(
        key("d2"),
        text("\u{1b}]0;owned\u{7}\u{1b}[2Jred\tgrün 部屋 a\u{200b}\u{202e}b\r\n"),
    ));
    stage.tell(Event::Log(key("d1"), text("of another job\n")));
    stage.tell(Event::Log(key("d2"), text("the last line has no")));
    let shown = stage.text();
    assert!(shown.contains("red grün 部屋 ab") && shown.contains("the last line has no "), "{shown}");
    assert!(!shown.contains("another") && !shown.contains("owned"), "{shown}");
    stage.tell(Event::Log(key("d2"), text(" end\n")));
    assert!(stage.text().contains("the last line has no end"));
    stage.tell(Event::Log(key("d2"), text(&"部".repeat(100_000))));
    assert!(stage.text().lines().all(|line| line.chars().count() <= 120));
}

#[test]
fn why_a_host_failed_is_read_in_the_pane() {
    let mut stage = Stage::fleet(80, 24, PLAIN);
    stage.go_to("web1");
    stage.tell(Event::Log(
        LogKey { host: name("web1"), job: "d1".parse().unwrap() },
        LogNews::Text { offset: 0, text: "curl: (7) connection refused\n".to_owned() },
    ));
    let text = stage.text();
    for part in [
        "✗ verify",
        "verification_failed: the health check did not succeed within 60 s",
        "failed units: nginx.service",
        "curl: (7) connection refused",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let mut stranger = failed("web1", "d1");
    stranger.phases.0.truncate(1);
    stranger.phases.0[0].name = PhaseName::Other("warm-up".to_owned().into());
    stage.hear(noon(), [said(stranger)]);
    stage.text();
}
