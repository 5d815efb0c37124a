//! The heat map.

use crate::harness::{
    COLOUR, Harness, PLAIN, ago, answer, assert_frame, building, failed, name, presence_message, report,
    report_message,
};
use crate::keys::keys;
use crossterm::event::KeyCode;
use homelab_deploy::protocol::Status;
use homelab_deploy::tui::{Context, Effect, Overlay, Screen, Sort, Theme};
use ratatui::style::Color;

/// Hosts in four groups, with every state.
fn fleet(width: u16, height: u16, theme: Theme) -> Harness {
    let mut harness = Harness::new(width, height, theme);
    for (tier, role, count) in
        [("prod", "web", 180), ("prod", "dns", 7), ("test", "ci", 40), ("test", "cache", 90)]
    {
        for n in 1..=count {
            let host = format!("{role}{n}");
            let mut answer = answer(&host, tier, role);
            answer.nix_free_bytes = Some(if n == 2 { 1 << 20 } else { 50 << 30 });
            answer.boot_free_bytes = Some(if n == 3 { 90 << 20 } else { 300 << 20 });
            answer.reboot_needed = Some(n == 5);
            if n % 50 == 7 {
                answer.commit = Some("b04c7de19f3a52886e0d4c1b7a9f6e5d4c3b2a10".into());
            }
            let mut messages = vec![presence_message(answer)];
            match n {
                11 | 40 | 41 => messages.push(report_message(failed(&host, "d1"))),
                12 => messages.push(report_message(building(&host, "d1"))),
                13 => messages.push(report_message(report(&host, "d0", Status::Completed))),
                _ => {}
            }
            let seen = if n == 60 { 250 } else { 4 };
            harness.receive(ago(seen), messages);
        }
    }
    harness.clock(ago(0));
    harness.apply(homelab_deploy::tui::ConsoleEvent::Frame);
    harness.effects();
    harness
}

fn selected(harness: &mut Harness) -> String {
    harness.apply(homelab_deploy::tui::ConsoleEvent::Frame);
    harness.app.host().unwrap().name.to_string()
}

#[test]
fn snapshots_of_the_heat_map() {
    for (width, height) in [(80, 24), (120, 40), (200, 60)] {
        let mut harness = fleet(width, height, PLAIN);
        keys(&mut harness, "H j");
        assert_frame!(format!("heat-map-{width}x{height}"), harness);
        let mut harness = fleet(width, height, COLOUR);
        keys(&mut harness, "H j");
        insta::assert_snapshot!(format!("heat-map-blocks-{width}x{height}"), harness.text());
    }
    let mut harness = fleet(80, 24, Theme::new(false, false));
    keys(&mut harness, "H");
    insta::assert_snapshot!("heat-map-ascii-80x24", harness.text());
}

#[test]
fn the_counts_of_large_groups_do_not_move_the_cells() {
    for theme in [COLOUR, PLAIN] {
        let mut harness = Harness::new(80, 40, theme);
        for n in 0..499 {
            let host = format!("web{n}");
            let messages =
                [presence_message(answer(&host, "prod", "web")), report_message(failed(&host, "d1"))];
            harness.receive(ago(4), messages);
        }
        keys(&mut harness, "H");
        let text = harness.text();
        let cells = |c: char| "▀▲X*".contains(c) || theme == PLAIN && c.is_ascii_uppercase();
        let counts = text
            .lines()
            .position(|line| line.contains("499 hosts  ✗ 499 "))
            .unwrap_or_else(|| panic!("{text}"));
        let start = |line: &str| line.chars().skip(19).position(cells);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(start(lines[counts]), start(lines[counts - 1]), "{text}");
        assert!(lines[counts].ends_with(" │"), "{text}");
    }
}

#[test]
fn a_block_shows_two_hosts_in_their_colours() {
    let mut harness = fleet(120, 40, COLOUR);
    keys(&mut harness, "Hg");
    let text = harness.text();
    assert!(text.contains("■ 8 failed") && text.contains("■ 3 deploying") && text.contains("idle"), "{text}");
    let buffer = harness.draw();
    let row = text.lines().position(|line| line.contains("prod web")).unwrap();
    // The names and counts of the groups take 20 columns.
    let cell = |n: u16, line: u16| &buffer[(21 + n, u16::try_from(row).unwrap() + line)];
    let columns = 120 - 17 - 6;
    assert_eq!(selected(&mut harness), "dns1");
    // web11 failed; in the same place of the second row is an idle host.
    assert_eq!((cell(10, 0).symbol(), cell(10, 0).fg, cell(10, 0).bg), ("▀", Color::Red, Color::Green));
    assert_eq!((cell(0, 0).fg, cell(0, 0).bg), (Color::Green, Color::Green));
    // Below the last host of the second row there is nothing.
    assert_eq!(cell(179 - columns + 1, 0).bg, Color::Reset, "{text}");
    keys(&mut harness, " ");
    let buffer = harness.draw();
    let row = harness.text().lines().position(|line| line.contains("prod dns")).unwrap();
    let first = &buffer[(21, u16::try_from(row).unwrap())];
    assert_eq!(first.fg, Color::Magenta, "a marked host");
}

#[test]
fn the_property_cycles_and_the_legend_counts() {
    let mut harness = fleet(120, 40, PLAIN);
    keys(&mut harness, "H");
    for (key, shown) in [
        ("", vec!["f 8 failed", "d 3 deploying", "s 2 stale", "r 4 needs reboot", "l 4 disk low"]),
        ("C", vec!["a 309 3f2a91c", "b 8 b04c7de"]),
        ("C", vec!["less than a week", "unknown"]),
        ("C", vec!["f 4 almost full", "l 4 low", ". 309 enough"]),
        ("C", vec!["f 8 failed"]),
    ] {
        keys(&mut harness, key);
        let text = harness.text();
        for shown in shown {
            assert!(text.contains(shown), "{key}: no {shown:?} in\n{text}");
        }
    }
}

#[test]
fn the_selection_moves_over_hosts_and_groups() {
    let mut harness = fleet(120, 40, PLAIN);
    keys(&mut harness, "H");
    for (typed, expected) in [
        ("g", "dns1"),
        (">>", "dns3"),
        ("<", "dns2"),
        ("j", "web2"),
        ("j", "web99"),
        ("k", "web2"),
        ("k", "dns2"),
        ("k", "dns2"),
        ("G", "ci40"),
        ("k", "cache40"),
        ("g", "dns1"),
        ("n", "dns2"),
        ("n", "dns5"),
        ("n", "web2"),
        ("N", "dns5"),
    ] {
        keys(&mut harness, typed);
        assert_eq!(selected(&mut harness), expected, "after {typed:?}\n{}", harness.text());
    }
    keys(&mut harness, "\n");
    assert_eq!((harness.app.context(), harness.host().host.clone()), (Context::Host, name("dns5")));
    keys(&mut harness, "^H");
    assert_eq!(harness.app.context(), Context::Fleet);
}

#[test]
fn marked_hosts_are_the_targets_of_a_form() {
    let mut harness = fleet(120, 40, PLAIN);
    keys(&mut harness, "Hg  ");
    assert_eq!(selected(&mut harness), "dns3");
    keys(&mut harness, "d");
    let Some(Overlay::Form(form)) = &harness.app.overlay else { panic!("no form") };
    assert_eq!(form.selected_choice().hosts, [name("dns1"), name("dns2")]);
    harness.press(KeyCode::Esc);
    // Without marks, the selected host is the target.
    harness.app.table.marks.clear();
    keys(&mut harness, "d");
    let Some(Overlay::Form(form)) = &harness.app.overlay else { panic!("no form") };
    assert_eq!(form.selected_choice().hosts, [name("dns3")]);
    assert!(!harness.effects().iter().any(|effect| matches!(effect, Effect::Send(_))));
}

#[test]
fn a_host_keeps_its_cell() {
    let mut harness = fleet(120, 40, PLAIN);
    harness.app.table.sort = Sort::Attention;
    harness.app.table.invalidate();
    keys(&mut harness, "Hg");
    let cells = |harness: &mut Harness| {
        let text = harness.text();
        let line = text.lines().find(|line| line.contains("prod dns")).unwrap_or_else(|| panic!("{text}"));
        line.chars().skip(21).take(7).collect::<String>()
    };
    assert_eq!(cells(&mut harness), ".l..r..", "dns1 to dns7");
    harness.receive(ago(0), vec![report_message(failed("dns6", "d2"))]);
    assert_eq!(cells(&mut harness), ".l..rf.", "at once, and in its place");
    harness.receive(ago(0), vec![presence_message(answer("dns0", "prod", "dns"))]);
    assert_eq!(selected(&mut harness), "dns1");
    harness.receive(ago(0), vec![presence_message(answer("dns7", "test", "dns"))]);
    let text = harness.text();
    assert!(text.contains("test dns"), "{text}");
}

#[test]
fn the_filter_of_the_table_applies() {
    let mut harness = fleet(120, 40, PLAIN);
    keys(&mut harness, "H/role:dns");
    assert_eq!(harness.app.context(), Context::Filter);
    let text = harness.text();
    assert!(text.contains("heat map 7 of 317 /role:dns") && !text.contains("prod web"), "{text}");
    keys(&mut harness, "\n");
    let Some(Screen::HeatMap(screen)) = harness.app.screens.last() else { panic!("no heat map") };
    assert_eq!(screen.hosts.len(), 7);
    keys(&mut harness, "/ nothing\n");
    assert!(harness.text().contains("no hosts to show"), "{}", harness.text());
}
