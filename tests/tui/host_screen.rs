//! The host screen: history queries, contents and navigation.

use crate::harness::{
    Harness, PLAIN, answer, building, failed, history, history_entry, name, noon, presence_message, report,
    report_message,
};
use crate::keys::keys;
use crossterm::event::KeyCode;
use homelab_deploy::client::Reply;
use homelab_deploy::protocol::{
    Action, Changes, DeployReport, ErrorCode, Id, PackageChange, Presence, Status,
};
use homelab_deploy::tui::{
    ConnectionStatus, ConsoleEvent, Context, Effect, HistoryState, Item, Screen, Tone,
};
use jiff::SignedDuration;
use ratatui::layout::Size;

/// The selected item in a short form.
fn selected(harness: &Harness) -> String {
    match &harness.host().selected {
        Some(Item::Unit(unit)) => unit.clone(),
        Some(Item::Job(id)) => id.to_string(),
        None => String::new(),
    }
}

fn history_query(host: &str) -> Effect {
    Effect::History(name(host))
}

/// Whether the history was queried since the last call.
fn has_queried(harness: &mut Harness) -> bool {
    harness.effects().iter().any(|effect| matches!(effect, Effect::History(_)))
}

#[test]
fn keys_move_between_selectable_lines() {
    for (typed, expected) in [
        ("", ""),
        ("k", ""),
        ("j", "nginx.service"),
        ("jj", "d1"),
        ("jjj", "h1"),
        ("jjjk", "d1"),
        ("jjkkkk", "nginx.service"),
        ("jjg", ""),
        ("G", "h9"),
        ("Gk", "h8"),
        ("Gj", "h9"),
    ] {
        let mut harness = Harness::fleet(120, 60, PLAIN);
        harness.open("web1");
        keys(&mut harness, typed);
        assert_eq!(selected(&harness), expected, "{typed:?}\n{}", harness.text());
    }
}

#[test]
fn the_selection_is_visible_and_every_line_reachable() {
    for (width, height) in [(80, 24), (40, 10), (60, 14)] {
        for (key, pages) in [(KeyCode::Char('j'), 120), (KeyCode::PageDown, 30)] {
            let mut harness = Harness::fleet(width, height, PLAIN);
            harness.open("web1");
            let mut seen = harness.text();
            for turn in 0..pages * 2 {
                let back = if key == KeyCode::PageDown { KeyCode::PageUp } else { KeyCode::Char('k') };
                harness.press(if turn < pages { key } else { back });
                let text = harness.text();
                let shown = text.lines().filter(|line| line.starts_with("│ ▸")).count();
                assert_eq!(shown, usize::from(!selected(&harness).is_empty()), "{text}");
                if turn < pages {
                    seen.push_str(&text);
                } else if turn == pages * 2 - 1 {
                    assert_eq!(harness.host().top, 0);
                }
                if turn == pages - 1 {
                    assert!(text.contains("supports"), "the last line: {text}");
                }
            }
            for part in ["nginx.service", "History", "15 d ", "generation  140"] {
                assert!(seen.contains(part), "{part} at {width}x{height}");
            }
        }
    }
}

#[test]
fn the_selection_follows_its_job_and_not_its_line() {
    let mut harness = Harness::fleet(80, 24, PLAIN);
    harness.open("web1");
    keys(&mut harness, "jjjj");
    assert_eq!(selected(&harness), "h2");
    let mut more = history();
    more.insert(0, history_entry("new", Action::Switch, 0, Some(150)));
    harness.apply(ConsoleEvent::History(name("web1"), Ok(Reply::Ok(more))));
    harness.apply(ConsoleEvent::Resize(Size { width: 80, height: 20 }));
    harness.apply(ConsoleEvent::Frame);
    assert_eq!(selected(&harness), "h2");
    assert!(harness.text().lines().any(|line| line.starts_with("│ ▸") && line.contains("dry-activate")));
    // A selected entry that disappears is no longer selected.
    harness.apply(ConsoleEvent::History(name("web1"), Ok(Reply::Ok(Vec::new()))));
    harness.apply(ConsoleEvent::Frame);
    assert_eq!(selected(&harness), "");
    assert!(harness.text().contains("no finished jobs yet"));
}

#[test]
fn a_duplicate_id_is_shown_once() {
    let mut harness = Harness::fleet(120, 60, PLAIN);
    harness.open("ns2");
    let twice = vec![
        history_entry("same", Action::Switch, 1, Some(7)),
        history_entry("same", Action::Boot, 2, Some(6)),
    ];
    harness.apply(ConsoleEvent::History(name("ns2"), Ok(Reply::Ok(twice))));
    assert_eq!(harness.host().entries.len(), 1);
}

#[test]
fn the_history_is_queried_again_when_it_may_have_changed() {
    let mut harness = Harness::fleet(80, 24, PLAIN);
    harness.go_to("ns2");
    harness.effects();
    harness.press(KeyCode::Enter);
    assert_eq!(harness.effects(), [history_query("ns2")]);
    assert!(harness.text().contains("querying the host"));
    // Not while a job is running, and not for other hosts.
    let numbered = |seq: u64, report: DeployReport| {
        report_message(DeployReport { seq: Some(1_000_000 + seq), ..report })
    };
    let ended = |host: &str, id: &str, seq| numbered(seq, report(host, id, Status::Completed));
    harness.receive(noon(), [numbered(5, building("ns2", "d5")), ended("web1", "d6", 6)]);
    harness.receive(noon(), [presence_message(answer("ns2", "prod", "dns"))]);
    assert!(!has_queried(&mut harness));
    harness.receive(noon(), [ended("ns2", "d5", 6)]);
    assert_eq!(harness.effects().last(), Some(&history_query("ns2")));
    harness.receive(noon(), [ended("ns2", "d5", 6)]);
    assert!(!has_queried(&mut harness));
    // When the host is back, and when the console has reconnected.
    let later = noon() + SignedDuration::from_hours(1);
    harness.clock(later);
    harness.receive(later, [presence_message(answer("ns2", "prod", "dns"))]);
    assert_eq!(harness.effects().last(), Some(&history_query("ns2")));
    harness.connect(ConnectionStatus { connects: 1, ..ConnectionStatus::default() });
    assert!(!has_queried(&mut harness));
    harness.connect(ConnectionStatus { up: true, connects: 2, ..ConnectionStatus::default() });
    assert_eq!(harness.effects(), [history_query("ns2")]);
    // A closed screen causes no query.
    harness.press(KeyCode::Esc);
    assert_eq!(harness.app.context(), Context::Fleet);
    harness.receive(later, [numbered(7, building("ns2", "d7")), ended("ns2", "d7", 8)]);
    harness.connect(ConnectionStatus::default());
    harness.connect(ConnectionStatus { up: true, connects: 3, ..ConnectionStatus::default() });
    assert!(!has_queried(&mut harness));
}

#[test]
fn a_missing_history_reply_is_explained() {
    for (reply, says) in [
        (Ok(Reply::NoAnswer), "no answer from the host"),
        (Ok(Reply::Unsupported), "the listener is too old to report its history; update it"),
        (Ok(Reply::Ok(Vec::new())), "no finished jobs yet"),
        (Err("the \u{1b}[31mlink is down".to_owned()), "the history query failed: the link is down"),
    ] {
        let mut harness = Harness::fleet(80, 40, PLAIN);
        harness.go_to("old1");
        harness.press(KeyCode::Enter);
        harness.apply(ConsoleEvent::History(name("old1"), reply));
        let text = harness.text();
        assert!(text.contains(says), "{says}\n{text}");
        assert!(text.contains("the listener uses the base format, which has no more details"), "{text}");
        assert!(!text.contains("WHEN"), "{text}");
    }
    // The previous reply stays.
    let mut harness = Harness::fleet(80, 40, PLAIN);
    harness.open("web1");
    harness.apply(ConsoleEvent::History(name("web1"), Ok(Reply::NoAnswer)));
    assert!(harness.text().contains("no answer from the host; this is its previous reply"));
    assert_eq!((harness.host().entries.len(), &harness.host().history), (10, &HistoryState::NoAnswer));
    // The reply of another host is ignored.
    harness.apply(ConsoleEvent::History(name("ns1"), Ok(Reply::Unsupported)));
    assert_eq!(harness.host().history, HistoryState::NoAnswer);
}

#[test]
fn all_facts_are_shown_escaped() {
    let mut harness = Harness::fleet(110, 70, PLAIN);
    let mut twin = answer("web1", "test", "web");
    twin.instance = Some("another".into());
    twin.os_version = Some("\u{1b}]0;owned\u{7}NixOS".into());
    twin.booted_system = Some("/nix/store/booted".into());
    twin.system = Some("/nix/store/now".into());
    twin.reboot_needed = Some(true);
    twin.held = Some("the disk is being replaced".to_owned());
    twin.warnings = vec!["low \u{1b}[2Jon space".to_owned()];
    twin.booted_at = Some(noon() - SignedDuration::from_hours(30));
    twin.nix_free_bytes = Some(120 << 30);
    harness.receive(noon(), [presence_message(twin)]);
    harness.open("web1");
    let text = harness.text();
    for part in [
        "2 listeners use this name; give each a different --hostname",
        "held: the disk is being replaced",
        "low on space",
        "needs reboot",
        "the health check did not succeed",
        "✓ prepare 0.7 s  ✓ build 0.7 s  ✓ check 0.7 s  ✓ activate 0.7 s  ✗ verify 0.7 s",
        "rolled back to the previous system",
        "✗ nginx.service  in the last job",
        "2026-11-21 09:31  switch        main 3f2a91c       ✗ verification failed  ! 3:07 min  alice@laptop",
        "booted      /nix/store/booted",
        "needed: kernel, initrd or kernel modules have changed since boot",
        "booted at   2026-11-20 06:31, 1 d ago",
        "free        nix store 120 GiB",
        "instance    another",
        "listens on  deploy.test.web1",
        "supports    cancel, build, rollback, reboot",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(!text.contains("owned"));
}

#[test]
fn commands_use_the_selected_job_or_the_current_one() {
    let mut harness = Harness::fleet(80, 24, PLAIN);
    harness.open("web1");
    let job = |harness: &Harness| harness.host().job(&harness.app.fleet).map(|id: Id| id.to_string());
    assert_eq!(job(&harness).as_deref(), Some("d1"));
    keys(&mut harness, "j");
    assert_eq!((harness.host().unit(), job(&harness).as_deref()), (Some("nginx.service"), Some("d1")));
    keys(&mut harness, "jjj");
    assert_eq!((harness.host().unit(), job(&harness).as_deref()), (None, Some("h2")));
    harness.press(KeyCode::Esc);
    harness.open("db1");
    assert_eq!(job(&harness), None);
}

#[test]
fn a_dry_run_shows_what_would_change() {
    let mut dry = report("ns2", "d8", Status::Completed);
    (dry.action, dry.seq) = (Some(Action::DryActivate), Some(1_000_100));
    dry.system = Some("/nix/store/new".into());
    let package = |name: &str, from: Option<&str>, to: Option<&str>| PackageChange {
        name: name.to_owned(),
        from: from.map(str::to_owned),
        to: to.map(str::to_owned),
    };
    let changes = Changes {
        units_stopped: vec!["sl.service".to_owned()],
        units_restarted: vec!["nginx.service".to_owned(), "sshd.service".to_owned()],
        packages: vec![
            package("linux", Some("6.12.8"), Some("6.12.9\u{1b}[31m")),
            package("hello", None, Some("2.12")),
            package("sl", Some("5.05"), None),
        ],
        bytes: Some(-13_002_342),
        ..Changes::default()
    };
    for (changes, system, says) in [
        (
            Some(changes),
            None,
            &[
                "changes 3 packages, -12 MiB, 3 units",
                "linux 6.12.8 → 6.12.9  +hello 2.12  -sl 5.05",
                "stops sl.service",
                "restarts nginx.service, sshd.service",
            ][..],
        ),
        (Some(Changes::default()), Some("/nix/store/old"), &["changes files only"]),
        (None, Some("/nix/store/new"), &["nothing would change: the host already runs this system"]),
        (None, Some("/nix/store/old"), &["the host did not report what would change; see its log"]),
    ] {
        let mut harness = Harness::fleet(80, 40, PLAIN);
        let runs = Presence { system: system.map(Into::into), ..answer("ns2", "prod", "dns") };
        dry.changes = changes.map(Box::new);
        harness.receive(noon(), [presence_message(runs), report_message(dry.clone())]);
        harness.go_to("ns2");
        // In the detail pane, and on the host screen.
        for _ in 0..2 {
            let text = harness.text();
            assert!(says.iter().all(|part| text.contains(part)), "{says:?}\n{text}");
            harness.press(KeyCode::Enter);
        }
    }
}

#[test]
fn notices_are_shown_on_the_host_screen() {
    let mut harness = Harness::fleet(80, 24, PLAIN);
    harness.open("ns2");
    keys(&mut harness, "c");
    assert!(harness.text().contains("no job runs on ns2; nothing was sent"));
    assert_eq!(harness.app.notice.as_ref().map(|notice| notice.tone), Some(Tone::Warn));
}

#[test]
fn a_host_that_has_only_reported_has_a_screen() {
    let mut harness = Harness::new(80, 24, PLAIN);
    harness.receive(noon(), [report_message(failed("ghost", "d1"))]);
    harness.apply(ConsoleEvent::Resize(Size { width: 80, height: 40 }));
    harness.go_to("ghost");
    harness.press(KeyCode::Enter);
    let text = harness.text();
    assert!(text.contains("this host has not announced itself yet") && text.contains("✗ verify"), "{text}");
}

#[test]
fn the_log_of_a_previous_job_names_that_job() {
    let mut harness = Harness::fleet(120, 40, PLAIN);
    harness.go_to("web1");
    harness.press(KeyCode::Enter);
    let mut failed = history_entry("h8", Action::Switch, 9, None);
    (failed.status, failed.error) = (Status::Failed, Some(ErrorCode::VerificationFailed));
    let reply = vec![history_entry("h9", Action::Switch, 2, Some(139)), failed];
    harness.apply(ConsoleEvent::History(name("web1"), Ok(Reply::Ok(reply))));
    for (job, status) in [("h9", "✓ completed in 48.2 s"), ("h8", "✗ verification failed in 48.2 s")] {
        let Some(Screen::Host(screen)) = harness.app.screens.last_mut() else { panic!("no host") };
        screen.selected = Some(Item::Job(Id::new(job).unwrap()));
        harness.type_text("l");
        let title = format!("web1 ▸ switch main 3f2a91c  {status} ");
        assert!(harness.text().contains(&title), "{title}\n{}", harness.text());
        harness.type_text("q");
    }
}
