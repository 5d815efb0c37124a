//! The layout if something does not fit: what scrolls, what is dropped, and what is never cut.

use crate::harness::{Harness, PLAIN, answer, building, noon, presence_message, report_message};
use crossterm::event::KeyCode;
use homelab_deploy::tui::{ConsoleEvent, view};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

/// A console with this many identical hosts.
fn many(hosts: usize, width: u16, height: u16) -> Harness {
    let mut harness = Harness::new(width, height, PLAIN);
    let answers = (1..=hosts).map(|n| presence_message(answer(&format!("web{n}"), "test", "web")));
    harness.receive(noon(), answers);
    harness
}

fn line(harness: &mut Harness, row: usize) -> String {
    harness.text().lines().nth(row).unwrap_or_default().to_owned()
}

/// The hosts in the open form.
fn listed(harness: &mut Harness) -> Vec<String> {
    let text = harness.text();
    let inside = text.lines().filter_map(|line| line.split_once("│   ● ")?.1.split_whitespace().next());
    inside.map(str::to_owned).collect()
}

/// Column and row of the cursor, and the text before it in its line.
fn cursor(harness: &mut Harness) -> (u16, u16, String) {
    let size = harness.app.size;
    harness.apply(ConsoleEvent::Frame);
    let mut terminal = Terminal::new(TestBackend::new(size.width, size.height)).unwrap();
    terminal.draw(|frame| view(&harness.app, frame)).unwrap();
    let at = terminal.backend().cursor_position();
    let buffer = terminal.backend().buffer();
    let before = (0..at.x).map(|x| buffer[(x, at.y)].symbol()).collect();
    (at.x, at.y, before)
}

#[test]
fn the_connection_state_stays_visible_with_long_server_names() {
    for (width, expected) in [
        (40, " homelab-deploy    nats1:4222 ● rtt 1.2 ms"),
        (59, " homelab-deploy   nats1:4222 ● rtt 1.2 ms   12:31:07"),
        (60, " homelab-deploy ▸ fleet   nats1:4222 ● rtt 1.2 ms   12:31:07"),
    ] {
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut harness = Harness::fleet(width, 24, PLAIN);
        assert_eq!(words(&line(&mut harness, 0)), words(expected), "{width}");
    }
    for width in [40, 60, 80] {
        let mut harness = Harness::fleet(width, 24, PLAIN);
        harness.app.options.server =
            "nats://nats.production.example.org:4222, nats://nats.spare.example.org:4222,\
            nats://nats.third.example.org:4222"
                .to_owned();
        let first = line(&mut harness, 0);
        assert!(first.contains(" nats.") && first.ends_with("… ● rtt 1.2 ms"), "{first}");
        assert_eq!(first.chars().count(), usize::from(width), "{first}");
    }
}

#[test]
fn count_labels_are_dropped_from_the_end() {
    for (width, expected) in [
        (
            120,
            " 8 hosts  ✓ 1 marked  ✗ 1 failed  ○ 1 offline  ◐ 1 stale  ↻ 1 needs reboot  ■ 1 held  ▶ 1 deploying  ● 6 online",
        ),
        (
            100,
            " 8 hosts ✓ 1 marked ✗ 1 failed ○ 1 offline ◐ 1 stale ↻ 1 needs reboot ■ 1 held ▶ 1 deploying ● 6",
        ),
        (80, " 8 hosts ✓ 1 marked ✗ 1 failed ○ 1 offline ◐ 1 stale ↻ 1 ■ 1 ▶ 1 ● 6"),
        (40, " 8 hosts ✓ 1 ✗ 1 ○ 1 ◐ 1 ↻ 1 ■ 1 ▶ 1 ● 6"),
    ] {
        let mut harness = Harness::fleet(width, 24, PLAIN);
        harness.type_text(" ");
        assert_eq!(line(&mut harness, 1).trim_end(), expected, "{width}");
    }
}

#[test]
fn the_visible_row_range_is_shown_if_rows_are_hidden() {
    let mut harness = many(13, 80, 24);
    assert!(line(&mut harness, 16).ends_with(" 1-12 of 13 ─┘"), "{}", harness.text());
    harness.type_text("G");
    assert!(line(&mut harness, 16).ends_with(" 2-13 of 13 ─┘"), "{}", harness.text());
    let mut harness = many(12, 80, 24);
    assert!(line(&mut harness, 16).ends_with("───┘"), "{}", harness.text());
    // A small fleet leaves the rest of the screen to the pane.
    let mut harness = many(6, 80, 24);
    assert!(line(&mut harness, 10).ends_with("───┘"), "{}", harness.text());
}

#[test]
fn half_a_count_is_never_shown() {
    for (expected, state) in [(40, "▶ build 12/40  "), (400, "▶ build 12/400 "), (40_000, "▶ build        ")]
    {
        let mut harness = many(1, 80, 24);
        let mut report = building("web1", "d1");
        report.progress.as_mut().unwrap().expected = expected;
        harness.receive(noon(), [report_message(report)]);
        let row = line(&mut harness, 7);
        assert!(row.contains(&format!("  web   {state}")), "{row}");
    }
}

#[test]
fn every_phase_is_in_view_in_a_narrow_terminal() {
    let mut harness = Harness::fleet(60, 24, PLAIN);
    harness.go_to("web1");
    let text = harness.text();
    for phase in ["✓ prepare", "✓ build", "✓ check", "✓ activate", "✗ verify", "– persist", "✓ rollback"]
    {
        assert!(text.contains(phase), "{phase:?} in\n{text}");
    }
}

#[test]
fn long_input_stays_visible() {
    let mut harness = many(3, 80, 24);
    harness.type_text("/");
    harness.apply(ConsoleEvent::Paste(format!("begin{}語end", "x".repeat(150))));
    let (x, y, before) = cursor(&mut harness);
    assert!(y == 2 && x < 79 && before.ends_with("end") && !before.contains("begin"), "{before:?}");
    harness.press(KeyCode::Home);
    let (_, _, before) = cursor(&mut harness);
    assert!(before.ends_with('/') && line(&mut harness, 2).contains("/beginxxx"), "{before:?}");
    harness.press(KeyCode::Esc);

    harness.type_text("d");
    harness.press(KeyCode::Tab);
    harness.apply(ConsoleEvent::Paste(format!("{}end", "y".repeat(100))));
    let (_, _, before) = cursor(&mut harness);
    assert!(before.contains("revision    yyy") && before.ends_with("yend"), "{before:?}");
}

#[test]
fn every_host_of_the_form_can_be_brought_into_view() {
    let mut harness = many(100, 80, 24);
    harness.type_text(":deploy tier=test batch=100%");
    harness.press(KeyCode::Enter);
    let first = listed(&mut harness);
    let counted: Vec<_> = (1..=13).map(|n| format!("web{n}")).collect();
    assert_eq!(first, counted, "in the order of the table: {}", harness.text());
    assert!(harness.text().contains("─ deploy  hosts 1-13 of 100, pgdn pgup ─"), "{}", harness.text());
    assert!(line(&mut harness, 23).starts_with(" tab fields and buttons "), "the keys stay in view");
    let mut seen = first.clone();
    for _ in 0..7 {
        harness.press(KeyCode::PageDown);
        let page = listed(&mut harness);
        assert_eq!(page.len(), 13, "a page is never partly empty");
        seen.extend(page);
    }
    assert!(harness.text().contains(" hosts 88-100 of 100, "), "{}", harness.text());
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 100);
    (0..7).for_each(|_| harness.press(KeyCode::PageUp));
    assert_eq!(listed(&mut harness), first);
}

#[test]
fn the_form_is_complete_in_the_smallest_terminal() {
    let mut harness = many(12, 40, 10);
    harness.type_text("ad");
    (0..2).for_each(|_| harness.press(KeyCode::Tab));
    (0..4).for_each(|_| harness.press(KeyCode::Right));
    let text = harness.text();
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
fn the_help_wraps_in_a_narrow_terminal() {
    let mut harness = Harness::fleet(40, 10, PLAIN);
    harness.type_text("?");
    let mut all = String::new();
    loop {
        let page = harness.text();
        assert!(!page.contains('…'), "{page}");
        assert!(page.lines().last().unwrap().ends_with("? close"), "{page}");
        all.extend(page.lines().filter(|line| line.starts_with('│')));
        harness.press(KeyCode::PageDown);
        if harness.text() == page {
            break;
        }
    }
    let words: Vec<_> =
        all.split(|c: char| c.is_whitespace() || "│┃".contains(c)).filter(|word| !word.is_empty()).collect();
    let help = words.join(" ");
    assert!(help.contains("deploy to the marked hosts, or to this one"), "{help}");
    assert!(
        help.contains(
            "state: a state or phase, or a prefix of one; also unit, disk, reboot, held, rejected, outdated"
        ),
        "{help}"
    );
}

#[test]
fn at_80_columns_the_footer_names_what_a_newcomer_needs() {
    let mut harness = Harness::fleet(80, 24, PLAIN);
    harness.go_to("ns2");
    let footers = [
        ("", "d deploy  enter host  / filter  f faults  l log  space mark  ? help  q quit"),
        ("\n", "d deploy  l log  v deployments  b roll back  ctrl-r reboot  esc back  ? help"),
        ("l", "F follow  W wrap  / search  n next  t time  S save  esc back  : command  ? help"),
        ("qqv", "enter open   C cancel   esc back   : command   ? help"),
    ];
    for (typed, footer) in footers {
        for key in typed.chars() {
            harness.press(if key == '\n' { KeyCode::Enter } else { KeyCode::Char(key) });
        }
        assert_eq!(line(&mut harness, 23).trim(), footer, "{typed:?}");
    }
    // The keys do not change with the running jobs.
    let mut harness = many(2, 80, 24);
    let footer = "d deploy  enter host  / filter  f faults  l log  space mark  ? help  q quit";
    assert_eq!(line(&mut harness, 23).trim(), footer);
    harness.type_text("d");
    let footer = "tab fields and buttons   right change   pgdn hosts   enter send   esc back";
    assert_eq!(line(&mut harness, 23).trim(), footer);
}
