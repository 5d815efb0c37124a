//! What the screens of deployments show.

use crate::keys::keys;
use crate::screens::snapshots;
use crate::stage::{PLAIN, Stage, ago, building, name, noon, report, rollout, said};
use crossterm::event::KeyCode;
use homelab_deploy::protocol::{Action, Changes, PackageChange, PhaseName, Status};
use homelab_deploy::tui::{Context, Event, Theme};
use jiff::SignedDuration;
use ratatui::buffer::Cell;
use ratatui::layout::Size;
use ratatui::style::Color;

/// Two deployments that run and two that are past.
fn stage() -> Stage {
    let mut stage = Stage::fleet(120, 40, PLAIN);
    rollout(&mut stage);
    stage
}

#[test]
fn a_host_that_falls_silent_at_work_is_unknown_and_not_running() {
    let mut stage = stage();
    stage.clock(noon() + SignedDuration::from_secs(43));
    keys(&mut stage, "v");
    let text = stage.text();
    assert!(text.contains("0 running, 4 known"), "{text}");
    keys(&mut stage, "g\n");
    let text = stage.text();
    assert!(
        text.contains("ns1     ◐ unknown") && text.contains("in build 12/40, last heard of 47 s ago"),
        "{text}"
    );
}

#[test]
fn words_of_newer_peers_are_shown_harmlessly() {
    let mut stage = stage();
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
    stage.hear(noon(), [said(strange), said(refused)]);
    keys(&mut stage, "v");
    let text = stage.text();
    assert!(text.contains("migrate") && text.contains("alice") && text.contains("main b04c7de"), "{text}");
    keys(&mut stage, "\n");
    let text = stage.text();
    for part in ["web9: moon-phase: not now", "▶ warm-up 12/40", "! rejected"] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'));
}

#[test]
fn what_a_dry_run_found_is_told_and_can_be_scrolled() {
    let mut stage = stage();
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
    stage.hear(noon(), [said(tried)]);
    keys(&mut stage, "vjj\n");
    let text = stage.text();
    for part in [
        "changes 3 packages, -412 MiB, 4 units",
        "linux 6.12.8 ▸ 6.12.9  +htop 3.4  -nano 8.0",
        "stops old.service",
        "starts new.service",
        "restarts nginx.service, sshd.service",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(!text.contains("J K scroll"));
    // Where it does not fit it scrolls, no further than its end.
    stage.tell(Event::Resize(Size { width: 60, height: 24 }));
    let first = stage.text();
    assert!(first.contains("J K scroll") && !first.contains("restarts nginx"), "{first}");
    keys(&mut stage, &"J".repeat(100));
    let last = stage.text();
    assert!(last.contains("restarts nginx.service"), "{last}");
    keys(&mut stage, "K");
    assert_ne!(stage.text(), last);
    keys(&mut stage, "jk");
    assert_eq!(stage.text(), first);
}

#[test]
fn the_last_output_of_a_failure_is_in_view() {
    for (height, first) in [(40, "foo-1.2> line 24"), (24, "foo-1.2> line 29")] {
        let mut stage = stage();
        stage.tell(Event::Resize(Size { width: 120, height }));
        keys(&mut stage, "vj\n");
        let text = stage.text();
        assert!(text.contains(first) && text.contains("foo-1.2> line 30"), "{text}");
    }
}

#[test]
fn an_estimate_stands_where_a_build_runs() {
    let mut stage = stage();
    keys(&mut stage, "vj\njjjjjjj");
    let text = stage.text();
    // 41 s for 12 of 40, 3 s ago.
    assert_eq!(text.matches("about 1:40 left").count(), 2, "{text}");
    keys(&mut stage, "\n");
    assert!(stage.text().contains("building linux-6.12.9, about 1:40 left (3 running"), "{}", stage.text());
}

#[test]
fn columns_leave_by_priority() {
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
        let mut stage = Stage::fleet(width, 24, PLAIN);
        rollout(&mut stage);
        keys(&mut stage, typed);
        let text = stage.text();
        let heading = text.lines().find(|line| line.contains("REVISION") || line.contains("HOST ")).unwrap();
        let words: Vec<_> = heading.split_whitespace().filter(|word| *word != "│").collect();
        assert_eq!(words.join(" "), columns, "{width}\n{text}");
    }
}

#[test]
fn a_deployment_that_was_forgotten_says_so() {
    let mut stage = stage();
    keys(&mut stage, "vG\n");
    assert!(stage.text().contains("ns2"));
    let many = (0..250).map(|n| said(report("web1", &format!("m{n}"), Status::Completed)));
    stage.hear(ago(0), many);
    let text = stage.text();
    assert!(text.contains("so many deployments came after it that it was forgotten"), "{text}");
    for typed in ["c", "d", "\n", "J", "K", "j"] {
        keys(&mut stage, typed);
    }
    stage.press(KeyCode::Esc);
    assert_eq!(stage.app.context(), Context::Deployments);
}

#[test]
fn pictures_of_the_deployments() {
    snapshots("deployments", |stage| {
        rollout(stage);
        keys(stage, "vj");
    });
}

#[test]
fn pictures_of_a_deployment() {
    snapshots("deployment", |stage| {
        rollout(stage);
        keys(stage, "vj\n");
    });
}

#[test]
fn pictures_of_a_deployment_with_a_running_host_selected() {
    snapshots("deployment-running", |stage| {
        rollout(stage);
        keys(stage, "vj\njjjjjjj");
    });
}

#[test]
fn what_began_before_it_was_heard_of_says_when() {
    let mut stage = Stage::new(120, 40, PLAIN);
    let mut done = report("web1", "a", Status::Completed);
    (done.at, done.elapsed_ms) = (Some(ago(7200)), Some(60_000));
    let mut runs = building("web2", "b");
    // Its clock is wrong, which matters to what has ended alone.
    (runs.at, runs.elapsed_ms) = (Some(ago(900_000)), Some(130_000));
    let mut ahead = report("web3", "c", Status::Completed);
    ahead.at = Some(ago(-7200));
    stage.hear(noon(), [said(done), said(runs), said(ahead)]);
    keys(&mut stage, "v");
    let text = stage.text();
    let rows = text.lines().skip(4).take(3).map(|row| {
        let words: Vec<_> = row.split_whitespace().skip_while(|word| word.parse::<u64>().is_err()).collect();
        words[..2].join(" ")
    });
    assert_eq!(rows.collect::<Vec<_>>(), ["2 min", "0 s", "2 h"], "{text}");
}

#[test]
fn without_unicode_all_is_ascii_and_without_colour_nothing_is_coloured() {
    for typed in ["v", "vj", "vj\n", "vj\njjjjjjj", "vj\nc", "v?"] {
        let mut stage = Stage::fleet(120, 40, Theme { colour: false, unicode: false });
        rollout(&mut stage);
        keys(&mut stage, typed);
        let text = stage.text();
        assert!(text.is_ascii(), "{typed}: {:?}", text.chars().filter(|c| !c.is_ascii()).collect::<String>());
        let plain = |cell: &Cell| (cell.fg, cell.bg) == (Color::Reset, Color::Reset);
        assert!(stage.draw().content().iter().all(plain), "{typed}");
    }
}
