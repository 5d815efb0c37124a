//! The screen of one host: when it asks for the past, what it shows, and how one moves over it.

use crate::keys::keys;
use crate::stage::{
    PLAIN, Stage, answer, building, failed, history, name, noon, past, present, report, said,
};
use crossterm::event::KeyCode;
use homelab_deploy::deployer::Told;
use homelab_deploy::protocol::{
    Action, Changes, DeployReport, ErrorCode, HostAnswer, Id, PackageChange, Status,
};
use homelab_deploy::tui::{Context, Effect, Event, HistoryState, Item, LinkState, Screen, Tone};
use jiff::SignedDuration;
use ratatui::layout::Size;

/// What is selected, as a word.
fn selected(stage: &Stage) -> String {
    match &stage.host().selected {
        Some(Item::Unit(unit)) => unit.clone(),
        Some(Item::Job(id)) => id.to_string(),
        None => String::new(),
    }
}

fn asks(host: &str) -> Effect {
    Effect::History(name(host))
}

/// Whether the host was asked for its past since this was last called.
fn asked(stage: &mut Stage) -> bool {
    stage.effects().iter().any(|effect| matches!(effect, Effect::History(_)))
}

#[test]
fn keys_go_from_line_to_line_that_can_be_selected() {
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
        let mut stage = Stage::fleet(120, 60, PLAIN);
        stage.open("web1");
        keys(&mut stage, typed);
        assert_eq!(selected(&stage), expected, "{typed:?}\n{}", stage.text());
    }
}

#[test]
fn what_is_selected_is_in_view_and_every_line_can_be_reached() {
    for (width, height) in [(80, 24), (40, 10), (60, 14)] {
        for (key, pages) in [(KeyCode::Char('j'), 120), (KeyCode::PageDown, 30)] {
            let mut stage = Stage::fleet(width, height, PLAIN);
            stage.open("web1");
            let mut seen = stage.text();
            for turn in 0..pages * 2 {
                let back = if key == KeyCode::PageDown { KeyCode::PageUp } else { KeyCode::Char('k') };
                stage.press(if turn < pages { key } else { back });
                let text = stage.text();
                let shown = text.lines().filter(|line| line.starts_with("│ ▸")).count();
                assert_eq!(shown, usize::from(!selected(&stage).is_empty()), "{text}");
                if turn < pages {
                    seen.push_str(&text);
                } else if turn == pages * 2 - 1 {
                    assert_eq!(stage.host().top, 0);
                }
                if turn == pages - 1 {
                    assert!(text.contains("also can"), "the last line: {text}");
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
    let mut stage = Stage::fleet(80, 24, PLAIN);
    stage.open("web1");
    keys(&mut stage, "jjjj");
    assert_eq!(selected(&stage), "h2");
    let mut more = history();
    more.insert(0, past("new", Action::Switch, 0, Some(150)));
    stage.tell(Event::History(name("web1"), Ok(Told::Answer(more))));
    stage.tell(Event::Resize(Size { width: 80, height: 20 }));
    stage.tell(Event::Frame);
    assert_eq!(selected(&stage), "h2");
    assert!(stage.text().lines().any(|line| line.starts_with("│ ▸") && line.contains("dry-activate")));
    // What is gone is not selected any more.
    stage.tell(Event::History(name("web1"), Ok(Told::Answer(Vec::new()))));
    stage.tell(Event::Frame);
    assert_eq!(selected(&stage), "");
    assert!(stage.text().contains("no job has ended there yet"));
}

#[test]
fn one_id_twice_is_one_line() {
    let mut stage = Stage::fleet(120, 60, PLAIN);
    stage.open("ns2");
    let twice = vec![past("same", Action::Switch, 1, Some(7)), past("same", Action::Boot, 2, Some(6))];
    stage.tell(Event::History(name("ns2"), Ok(Told::Answer(twice))));
    assert_eq!(stage.host().entries.len(), 1);
}

#[test]
fn the_past_is_asked_for_when_it_may_have_changed() {
    let mut stage = Stage::fleet(80, 24, PLAIN);
    stage.go_to("ns2");
    stage.effects();
    stage.press(KeyCode::Enter);
    assert_eq!(stage.effects(), [asks("ns2")]);
    assert!(stage.text().contains("asking the host"));
    // Not while a job runs, nor for other hosts.
    let numbered =
        |seq: u64, report: DeployReport| said(DeployReport { seq: Some(1_000_000 + seq), ..report });
    let ended = |host: &str, id: &str, seq| numbered(seq, report(host, id, Status::Completed));
    stage.hear(noon(), [numbered(5, building("ns2", "d5")), ended("web1", "d6", 6)]);
    stage.hear(noon(), [present(answer("ns2", "prod", "dns"))]);
    assert!(!asked(&mut stage));
    stage.hear(noon(), [ended("ns2", "d5", 6)]);
    assert_eq!(stage.effects().last(), Some(&asks("ns2")));
    stage.hear(noon(), [ended("ns2", "d5", 6)]);
    assert!(!asked(&mut stage));
    // Once it is back, and once we are.
    let later = noon() + SignedDuration::from_hours(1);
    stage.clock(later);
    stage.hear(later, [present(answer("ns2", "prod", "dns"))]);
    assert_eq!(stage.effects().last(), Some(&asks("ns2")));
    stage.link(LinkState { connects: 1, ..LinkState::default() });
    assert!(!asked(&mut stage));
    stage.link(LinkState { up: true, connects: 2, ..LinkState::default() });
    assert_eq!(stage.effects(), [asks("ns2")]);
    // Nobody asks for what is not shown.
    stage.press(KeyCode::Esc);
    assert_eq!(stage.app.context(), Context::Fleet);
    stage.hear(later, [numbered(7, building("ns2", "d7")), ended("ns2", "d7", 8)]);
    stage.link(LinkState::default());
    stage.link(LinkState { up: true, connects: 3, ..LinkState::default() });
    assert!(!asked(&mut stage));
}

#[test]
fn a_host_that_does_not_tell_is_said_so() {
    for (told, says) in [
        (Ok(Told::Silent), "the host does not answer"),
        (Ok(Told::TooOld), "its listener is too old to tell; update it"),
        (Ok(Told::Answer(Vec::new())), "no job has ended there yet"),
        (Err("the \u{1b}[31mlink is down".to_owned()), "the host could not be asked: the link is down"),
    ] {
        let mut stage = Stage::fleet(80, 40, PLAIN);
        stage.go_to("old1");
        stage.press(KeyCode::Enter);
        stage.tell(Event::History(name("old1"), told));
        let text = stage.text();
        assert!(text.contains(says), "{says}\n{text}");
        assert!(text.contains("its listener speaks the base format and tells no more"), "{text}");
        assert!(!text.contains("WHEN"), "{text}");
    }
    // What was told before stays.
    let mut stage = Stage::fleet(80, 40, PLAIN);
    stage.open("web1");
    stage.tell(Event::History(name("web1"), Ok(Told::Silent)));
    assert!(stage.text().contains("the host does not answer; before it told this"));
    assert_eq!((stage.host().entries.len(), &stage.host().history), (10, &HistoryState::Silent));
    // And an answer of another host is not taken for its own.
    stage.tell(Event::History(name("ns1"), Ok(Told::TooOld)));
    assert_eq!(stage.host().history, HistoryState::Silent);
}

#[test]
fn everything_known_is_shown_harmlessly() {
    let mut stage = Stage::fleet(110, 70, PLAIN);
    let mut twin = answer("web1", "test", "web");
    twin.instance = Some("another".into());
    twin.os_version = Some("\u{1b}]0;owned\u{7}NixOS".into());
    twin.booted_system = Some("/nix/store/booted".into());
    twin.system = Some("/nix/store/now".into());
    twin.reboot_needed = Some(true);
    twin.held = Some("the disk is being replaced".to_owned());
    twin.warnings = vec!["low \u{1b}[2Jon space".to_owned()];
    twin.boot_at = Some(noon() - SignedDuration::from_hours(30));
    twin.nix_free_bytes = Some(120 << 30);
    stage.hear(noon(), [present(twin)]);
    stage.open("web1");
    let text = stage.text();
    for part in [
        "2 listeners claim this name; give each its own --hostname",
        "held: the disk is being replaced",
        "low on space",
        "a reboot is needed",
        "verification_failed: the health check did not succeed",
        "✓ prepare 0.7 s  ✓ build 0.7 s  ✓ check 0.7 s  ✓ activate 0.7 s  ✗ verify 0.7 s",
        "rolled back to the previous system",
        "✗ nginx.service  in the last job",
        "2026-11-21 09:31  switch        main 3f2a91c       ✗ verification_failed  3:07 min  alice@laptop",
        "booted      /nix/store/booted",
        "needed: kernel, initrd or kernel modules are not those that were booted",
        "booted at   2026-11-20 06:31, 1 d ago",
        "free        nix store 120 GiB",
        "instance    another",
        "listens on  deploy.test.web1",
        "also can    cancel, build, rollback, reboot",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(!text.contains("owned"));
}

#[test]
fn the_job_that_is_meant_is_the_selected_one_or_the_present_one() {
    let mut stage = Stage::fleet(80, 24, PLAIN);
    stage.open("web1");
    let job = |stage: &Stage| stage.host().job(&stage.app.fleet).map(|id: Id| id.to_string());
    assert_eq!(job(&stage).as_deref(), Some("d1"));
    keys(&mut stage, "j");
    assert_eq!((stage.host().unit(), job(&stage).as_deref()), (Some("nginx.service"), Some("d1")));
    keys(&mut stage, "jjj");
    assert_eq!((stage.host().unit(), job(&stage).as_deref()), (None, Some("h2")));
    stage.press(KeyCode::Esc);
    stage.open("db1");
    assert_eq!(job(&stage), None);
}

#[test]
fn a_dry_run_tells_what_would_change() {
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
                "linux 6.12.8 ▸ 6.12.9  +hello 2.12  -sl 5.05",
                "stops sl.service",
                "restarts nginx.service, sshd.service",
            ][..],
        ),
        (Some(Changes::default()), Some("/nix/store/old"), &["changes files only"]),
        (None, Some("/nix/store/new"), &["nothing would change, this system runs already"]),
        (None, Some("/nix/store/old"), &["the host did not report what would change; its log may"]),
    ] {
        let mut stage = Stage::fleet(80, 40, PLAIN);
        let runs = HostAnswer { system: system.map(Into::into), ..answer("ns2", "prod", "dns") };
        dry.changes = changes.map(Box::new);
        stage.hear(noon(), [present(runs), said(dry.clone())]);
        stage.go_to("ns2");
        // In the pane, and on the screen of the host.
        for _ in 0..2 {
            let text = stage.text();
            assert!(says.iter().all(|part| text.contains(part)), "{says:?}\n{text}");
            stage.press(KeyCode::Enter);
        }
    }
}

#[test]
fn notices_are_shown_there_too() {
    let mut stage = Stage::fleet(80, 24, PLAIN);
    stage.open("ns2");
    keys(&mut stage, "c");
    assert!(stage.text().contains("no job runs on ns2; nothing was sent"));
    assert_eq!(stage.app.notice.as_ref().map(|notice| notice.tone), Some(Tone::Warn));
}

#[test]
fn a_host_that_has_only_reported_has_a_screen() {
    let mut stage = Stage::new(80, 24, PLAIN);
    stage.hear(noon(), [said(failed("ghost", "d1"))]);
    stage.tell(Event::Resize(Size { width: 80, height: 40 }));
    stage.go_to("ghost");
    stage.press(KeyCode::Enter);
    let text = stage.text();
    assert!(text.contains("it has told nothing of itself yet") && text.contains("✗ verify"), "{text}");
}

#[test]
fn the_log_of_a_past_job_says_which_job_that_was() {
    let mut stage = Stage::fleet(120, 40, PLAIN);
    stage.go_to("web1");
    stage.press(KeyCode::Enter);
    let mut failed = past("h8", Action::Switch, 9, None);
    (failed.status, failed.error) = (Status::Failed, Some(ErrorCode::VerificationFailed));
    let told = vec![past("h9", Action::Switch, 2, Some(139)), failed];
    stage.tell(Event::History(name("web1"), Ok(Told::Answer(told))));
    for (job, stands) in [("h9", "✓ completed in 48.2 s"), ("h8", "✗ verification_failed in 48.2 s")] {
        let Some(Screen::Host(screen)) = stage.app.screens.last_mut() else { panic!("no host") };
        screen.selected = Some(Item::Job(Id::new(job).unwrap()));
        stage.types("l");
        let title = format!("web1 ▸ switch main 3f2a91c  {stands} ");
        assert!(stage.text().contains(&title), "{title}\n{}", stage.text());
        stage.types("q");
    }
}
