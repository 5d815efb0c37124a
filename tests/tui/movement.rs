//! Counts, half pages, keys that follow escape in one read, and past notices.

use crate::harness::{Harness, PLAIN, ago, answer, name, noon, presence_message};
use crate::keys::keys;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use homelab_deploy::tui::{ConsoleEvent, Context, Filter, Sort, Tone};
use jiff::SignedDuration;

/// Sixty hosts at 120×40, of which 22 are in view.
fn fleet() -> Harness {
    let mut harness = Harness::new(120, 40, PLAIN);
    harness.receive(ago(4), (1..=60).map(|n| presence_message(answer(&format!("web{n}"), "test", "web"))));
    harness.apply(ConsoleEvent::Frame);
    harness
}

fn press(harness: &mut Harness, c: char, modifiers: KeyModifiers) {
    harness.apply(ConsoleEvent::Key(KeyEvent::new(KeyCode::Char(c), modifiers)));
}

fn selected(harness: &Harness) -> String {
    harness.app.table.host().unwrap().to_string()
}

#[test]
fn a_number_repeats_a_movement() {
    for (typed, expected) in [
        ("5j", "web6"),
        ("12j", "web13"),
        ("10j3k", "web8"),
        ("30G", "web30"),
        ("G", "web60"),
        ("Ggg", "web1"),
        ("999j", "web60"),
        // Another key ends the number, and it does not repeat what is not a movement.
        ("5xj", "web2"),
        ("3 j", "web3"),
        ("0j", "web2"),
    ] {
        let mut harness = fleet();
        keys(&mut harness, typed);
        assert_eq!(selected(&harness), expected, "{typed}");
    }
    let mut harness = fleet();
    keys(&mut harness, "3 ");
    assert_eq!(harness.app.table.marks, [name("web1")].into());
    // In a text field, digits are text.
    keys(&mut harness, "/web5");
    assert_eq!(harness.app.table.filter, Filter::parse("web5").unwrap());
}

#[test]
fn half_pages_move_in_lists_and_texts() {
    let mut harness = fleet();
    press(&mut harness, 'd', KeyModifiers::CONTROL);
    let half = harness.app.table.row();
    assert!((8..=14).contains(&half), "{half}");
    press(&mut harness, 'd', KeyModifiers::CONTROL);
    press(&mut harness, 'u', KeyModifiers::CONTROL);
    assert_eq!(harness.app.table.row(), half);
    keys(&mut harness, "?");
    let first = harness.text();
    press(&mut harness, 'd', KeyModifiers::CONTROL);
    assert_ne!(harness.text(), first);
    press(&mut harness, 'u', KeyModifiers::CONTROL);
    assert_eq!(harness.text(), first);
}

#[test]
fn a_key_after_escape_in_one_read_is_two_keys() {
    let mut harness = fleet();
    keys(&mut harness, "/web1");
    // The terminal reports escape and a colon as one key.
    press(&mut harness, ':', KeyModifiers::ALT);
    assert_eq!(harness.app.context(), Context::Command);
    assert!(harness.app.table.filter.is_empty(), "escape restores the filter");
    keys(&mut harness, "sort tier\n");
    assert_eq!(harness.app.table.sort, Sort::Tier);
    // In a text field, a word can still be skipped.
    keys(&mut harness, "/a b");
    press(&mut harness, 'b', KeyModifiers::ALT);
    assert_eq!(harness.app.context(), Context::Filter);
}

#[test]
fn past_notices_are_listed() {
    let mut harness = fleet();
    keys(&mut harness, ":messages\n");
    assert!(harness.text().contains("no messages yet"), "{}", harness.text());
    keys(&mut harness, "^yjy");
    harness.clock(noon() + SignedDuration::from_secs(60));
    let faded = harness.text();
    assert!(!faded.contains("copied"), "{faded}");
    keys(&mut harness, ":messages\n");
    let text = harness.text();
    let line =
        |what: &str| text.lines().position(|line| line.contains(what)).unwrap_or_else(|| panic!("{text}"));
    assert!(line("12:31:07  copied web2") < line("12:31:07  copied web1"), "newest first\n{text}");
    keys(&mut harness, "q");
    assert_eq!(harness.app.context(), Context::Fleet);
    // The list is bounded.
    for _ in 0..300 {
        keys(&mut harness, "y");
    }
    assert_eq!(harness.app.messages.len(), 200);
    assert_eq!(harness.app.messages.back().unwrap().1, Tone::Good);
}

#[test]
fn every_list_has_a_filter_that_matches_what_it_shows() {
    let mut harness = Harness::fleet(120, 40, PLAIN);
    crate::harness::rollout(&mut harness);
    harness.apply(ConsoleEvent::Frame);
    // The list, the filter, a text that stays and one that is hidden.
    for (open, filter, shown, hidden) in [
        ("v", "bob|nothing", "bob@desk", "alice@laptop  "),
        ("vj\n", "app1[12]$|held", "app8", "app7  "),
        ("vj\n", "completed", "app12", "app7  "),
        ("E", "web1 .*failed", "web1", "ns2  "),
    ] {
        keys(&mut harness, open);
        harness.apply(ConsoleEvent::Frame);
        assert!(harness.text().contains(hidden), "{open}\n{}", harness.text());
        keys(&mut harness, "/");
        assert_eq!(harness.app.context(), Context::ListFilter);
        harness.type_text(filter);
        let text = harness.text();
        assert!(text.contains(&format!("─ /{filter} ─")), "{open} {filter}\n{text}");
        let list = |text: &str| text.lines().skip(3).take(20).collect::<Vec<_>>().join("\n");
        assert!(list(&text).contains(shown) && !list(&text).contains(hidden), "{open} {filter}\n{text}");
        // Enter keeps it; escape clears it, and then closes the screen.
        keys(&mut harness, "\n");
        assert!(!list(&harness.text()).contains(hidden));
        keys(&mut harness, "^");
        assert!(harness.text().contains(hidden), "{open} {filter}\n{}", harness.text());
        keys(&mut harness, "/zzz^");
        assert!(harness.text().contains(hidden), "escape restores the filter");
        keys(&mut harness, "^^^");
        assert_eq!(harness.app.context(), Context::Fleet);
    }
}

#[test]
fn the_help_is_searched_and_has_two_columns_if_there_is_space() {
    let mut harness = fleet();
    keys(&mut harness, "?/");
    assert_eq!(harness.app.context(), Context::HelpSearch);
    harness.type_text("heat MAP");
    let text = harness.text();
    assert!(
        text.contains(" keys /heat MAP ") && text.contains("heat map: a cell for each listed host"),
        "{text}"
    );
    assert!(!text.contains("roll back to the selected"), "{text}");
    keys(&mut harness, "\n");
    assert_eq!(harness.app.context(), Context::Help);
    keys(&mut harness, "/zzz");
    assert!(harness.text().contains("nothing in the help matches"), "{}", harness.text());
    keys(&mut harness, "^");
    assert!(harness.text().contains("roll back to the selected"), "{}", harness.text());
    keys(&mut harness, "q");
    assert_eq!(harness.app.context(), Context::Fleet);
    let mut wide = Harness::new(200, 60, PLAIN);
    keys(&mut wide, "?");
    let text = wide.text();
    let line = text.lines().find(|line| line.contains("deploy to the marked hosts")).unwrap();
    assert!(line.contains("move up a page"), "both columns are in one line\n{text}");
}
