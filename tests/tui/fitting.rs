//! What becomes of what does not fit: it scrolls, and what matters most is never cut.

use crate::stage::{PLAIN, Stage, answer, building, noon, present, said};
use crossterm::event::KeyCode;
use homelab_deploy::tui::{Event, view};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

/// A console with this many hosts that are all alike.
fn many(hosts: usize, width: u16, height: u16) -> Stage {
    let mut stage = Stage::new(width, height, PLAIN);
    let answers = (1..=hosts).map(|n| present(answer(&format!("web{n}"), "test", "web")));
    stage.hear(noon(), answers);
    stage
}

fn line(stage: &mut Stage, row: usize) -> String {
    stage.text().lines().nth(row).unwrap_or_default().to_owned()
}

/// The hosts that the open form lists.
fn listed(stage: &mut Stage) -> Vec<String> {
    let text = stage.text();
    let inside = text.lines().filter_map(|line| line.split_once("│   ● ")?.1.split_whitespace().next());
    inside.map(str::to_owned).collect()
}

/// The column and the row where one types, with all that stands before it in its line.
fn cursor(stage: &mut Stage) -> (u16, u16, String) {
    let size = stage.app.size;
    stage.tell(Event::Frame);
    let mut terminal = Terminal::new(TestBackend::new(size.width, size.height)).unwrap();
    terminal.draw(|frame| view(&stage.app, frame)).unwrap();
    let at = terminal.backend().cursor_position();
    let buffer = terminal.backend().buffer();
    let before = (0..at.x).map(|x| buffer[(x, at.y)].symbol()).collect();
    (at.x, at.y, before)
}

#[test]
fn whether_the_link_is_up_is_in_view_whatever_the_servers_are_called() {
    for (width, expected) in [
        (40, " homelab-deploy    nats1:4222 ● rtt 1.2 ms"),
        (59, " homelab-deploy   nats1:4222 ● rtt 1.2 ms   12:31:07"),
        (60, " homelab-deploy ▸ fleet   nats1:4222 ● rtt 1.2 ms   12:31:07"),
    ] {
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut stage = Stage::fleet(width, 24, PLAIN);
        assert_eq!(words(&line(&mut stage, 0)), words(expected), "{width}");
    }
    for width in [40, 60, 80] {
        let mut stage = Stage::fleet(width, 24, PLAIN);
        stage.app.options.server =
            "nats://nats.production.example.org:4222, nats://nats.spare.example.org:4222,\
            nats://nats.third.example.org:4222"
                .to_owned();
        let first = line(&mut stage, 0);
        assert!(first.contains(" nats.") && first.ends_with("… ● rtt 1.2 ms"), "{first}");
        assert_eq!(first.chars().count(), usize::from(width), "{first}");
    }
}

#[test]
fn of_the_counts_the_last_words_leave_first() {
    for (width, expected) in [
        (
            100,
            " 8 hosts  ✓ 1 marked  ● 6 online  ▶ 1 deploying  ✗ 1 failed  ◐ 1 stale  ○ 1 offline  ↻ 1 reboot",
        ),
        (90, " 8 hosts ✓ 1 marked ● 6 online ▶ 1 deploying ✗ 1 failed ◐ 1 stale ○ 1 offline ↻ 1 reboot"),
        (80, " 8 hosts ✓ 1 marked ● 6 online ▶ 1 deploying ✗ 1 failed ◐ 1 stale ○ 1 ↻ 1"),
        (40, " 8 hosts ✓ 1 ● 6 ▶ 1 ✗ 1 ◐ 1 ○ 1 ↻ 1"),
    ] {
        let mut stage = Stage::fleet(width, 24, PLAIN);
        stage.types(" ");
        assert_eq!(line(&mut stage, 1).trim_end(), expected, "{width}");
    }
}

#[test]
fn it_is_told_which_rows_are_in_view_where_not_all_are() {
    let mut stage = many(12, 80, 24);
    assert!(line(&mut stage, 15).ends_with(" 1-11 of 12 ─┘"), "{}", stage.text());
    stage.types("G");
    assert!(line(&mut stage, 15).ends_with(" 2-12 of 12 ─┘"), "{}", stage.text());
    stage.types("/web1");
    assert!(line(&mut stage, 15).ends_with("───┘"), "{}", stage.text());
    let mut stage = many(11, 80, 24);
    assert!(line(&mut stage, 15).ends_with("───┘"), "{}", stage.text());
}

#[test]
fn half_a_count_is_never_shown() {
    for (expected, state) in [(40, "▶ build 12/40  "), (400, "▶ build 12/400 "), (4000, "▶ build        ")]
    {
        let mut stage = many(1, 80, 24);
        let mut report = building("web1", "d1");
        report.progress.as_mut().unwrap().expected = expected;
        stage.hear(noon(), [said(report)]);
        let row = line(&mut stage, 4);
        assert!(row.contains(&format!("  web     {state} ")), "{row}");
    }
}

#[test]
fn every_phase_is_in_view_in_a_narrow_terminal() {
    let mut stage = Stage::fleet(60, 24, PLAIN);
    stage.go_to("web1");
    let text = stage.text();
    for phase in ["✓ prepare", "✓ build", "✓ check", "✓ activate", "✗ verify", "– persist", "✓ rollback"]
    {
        assert!(text.contains(phase), "{phase:?} in\n{text}");
    }
}

#[test]
fn what_is_typed_stays_in_view_however_long_it_is() {
    let mut stage = many(3, 80, 24);
    stage.types("/");
    stage.tell(Event::Paste(format!("begin{}語end", "x".repeat(150))));
    let (x, y, before) = cursor(&mut stage);
    assert!(y == 2 && x < 79 && before.ends_with("end") && !before.contains("begin"), "{before:?}");
    stage.press(KeyCode::Home);
    let (_, _, before) = cursor(&mut stage);
    assert!(before.ends_with('/') && line(&mut stage, 2).contains("/beginxxx"), "{before:?}");
    stage.press(KeyCode::Esc);

    stage.types("d");
    stage.press(KeyCode::Tab);
    stage.tell(Event::Paste(format!("{}end", "y".repeat(100))));
    let (_, _, before) = cursor(&mut stage);
    assert!(before.contains("revision    yyy") && before.ends_with("yend"), "{before:?}");
}

#[test]
fn every_host_of_the_form_can_be_brought_into_view() {
    let mut stage = many(100, 80, 24);
    stage.types("ad");
    let first = listed(&mut stage);
    let counted: Vec<_> = (1..=14).map(|n| format!("web{n}")).collect();
    assert_eq!(first, counted, "in the order of the table: {}", stage.text());
    assert!(stage.text().contains("─ deploy  hosts 1-14 of 100, pgdn pgup ─"), "{}", stage.text());
    assert!(line(&mut stage, 23).starts_with(" tab fields and buttons "), "the keys stay in view");
    let mut seen = first.clone();
    for _ in 0..7 {
        stage.press(KeyCode::PageDown);
        let page = listed(&mut stage);
        assert_eq!(page.len(), 14, "a page is never partly empty");
        seen.extend(page);
    }
    assert!(stage.text().contains(" hosts 87-100 of 100, "), "{}", stage.text());
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 100);
    (0..7).for_each(|_| stage.press(KeyCode::PageUp));
    assert_eq!(listed(&mut stage), first);
}

#[test]
fn the_form_is_whole_in_the_smallest_terminal() {
    let mut stage = many(12, 40, 10);
    stage.types("ad");
    (0..2).for_each(|_| stage.press(KeyCode::Tab));
    (0..4).for_each(|_| stage.press(KeyCode::Right));
    let text = stage.text();
    for shown in [
        "hosts 1-2 of 12",
        "[12 marked]",
        "[build] 5 of 5",
        "● web1",
        "[ Deploy to 12 hosts ]",
        " tab fields and buttons  ",
    ] {
        assert!(text.contains(shown), "{shown:?} in\n{text}");
    }
}

#[test]
fn in_a_narrow_terminal_the_help_is_broken_into_lines_and_nothing_of_it_is_cut() {
    let mut stage = Stage::fleet(40, 10, PLAIN);
    stage.types("?");
    let mut all = String::new();
    loop {
        let page = stage.text();
        assert!(!page.contains('…'), "{page}");
        assert!(page.lines().last().unwrap().starts_with(" ? close"), "{page}");
        all.extend(page.lines().filter(|line| line.starts_with('│')));
        stage.press(KeyCode::PageDown);
        if stage.text() == page {
            break;
        }
    }
    let words: Vec<_> =
        all.split(|c: char| c.is_whitespace() || c == '│').filter(|word| !word.is_empty()).collect();
    let told = words.join(" ");
    assert!(told.contains("deploy to the marked hosts, or to this one"), "{told}");
    assert!(
        told.contains("state: a state or phase, or its beginning; unit, reboot, held, rejected"),
        "{told}"
    );
}

#[test]
fn at_80_columns_the_footer_names_what_a_newcomer_needs() {
    let mut stage = Stage::fleet(80, 24, PLAIN);
    stage.go_to("ns2");
    let footers = [
        ("", "d deploy  c cancel  enter host  / filter  f faults  l log  ? help  q quit"),
        ("\n", "d deploy  l log  v deployments  b roll back  ctrl-r reboot  esc back  ? help"),
        ("l", "F follow  W wrap  / search  n next  t times  S save  esc back  : command  ? help"),
        ("qqv", "enter open   c cancel   esc back   : command   ? help"),
    ];
    for (typed, footer) in footers {
        for key in typed.chars() {
            stage.press(if key == '\n' { KeyCode::Enter } else { KeyCode::Char(key) });
        }
        assert_eq!(line(&mut stage, 23).trim(), footer, "{typed:?}");
    }
    // Without a job that runs nothing can be cancelled.
    let mut stage = many(2, 80, 24);
    let footer = "d deploy  enter host  / filter  f faults  l log  space mark  ? help  q quit";
    assert_eq!(line(&mut stage, 23).trim(), footer);
    stage.types("d");
    let footer = "tab fields and buttons   right change   pgdn hosts   enter choose   esc back";
    assert_eq!(line(&mut stage, 23).trim(), footer);
}
