//! Searching a log.

use crate::log_screen::{grow, lines, open, press, rows};
use crate::stage::Stage;
use homelab_deploy::tui::{Context, Event};
use ratatui::style::Modifier;

/// The first row in view, and what is said below: the search or a notice, and which match it is.
fn seen(stage: &mut Stage) -> (String, String, String) {
    let first = rows(stage).first().cloned().unwrap_or_default();
    let text = stage.text();
    let edge = text.lines().nth(22).unwrap().trim_matches(['└', '┘', '─', ' ']).to_owned();
    let (left, right) = edge.split_once(" ─").unwrap_or(("", &edge));
    let position = right.trim_start_matches(['─', ' ']);
    let position = position.split("lines ").next().unwrap_or_default();
    (first, left.to_owned(), position.trim_end().to_owned())
}

#[test]
fn keys_that_search() {
    let at_end = "the search goes on at the end";
    let at_start = "the search goes on at the beginning";
    // The end of the log is in view, from line 82 on.
    for (keys, first, left, position) in [
        // What is in view does not move.
        ("/line 9", 82, "/line 9", "match 2 of 11"),
        ("/line 9^", 82, "", ""),
        // Beyond the end it begins anew; a third of the rows stays above.
        ("/line 50", 44, "/line 50", "match 1 of 1"),
        ("/line 50^", 82, "", ""),
        ("/line 50\n", 44, "/line 50", "match 1 of 1"),
        ("/line 50\n^", 44, "", ""),
        ("/\n", 82, "", ""),
        ("/line 9\nn", 82, "/line 9", "match 3 of 11"),
        ("/line 9\nnnnnnnnnn", 82, "/line 9", "match 11 of 11"),
        ("/line 9\nnnnnnnnnnn", 3, at_start, "match 1 of 11"),
        ("/line 9\nN", 3, "/line 9", "match 1 of 11"),
        ("/line 9\nNN", 82, at_end, "match 11 of 11"),
        ("/nothing", 82, "/nothing", "no match"),
        ("/nothing\nn", 82, "no line matches the search", "no match"),
        ("n", 82, "nothing is searched for; / begins a search", ""),
        ("N", 82, "nothing is searched for; / begins a search", ""),
        // From what is in view, where the last match is not.
        ("g/line 9\nvvn", 82, "/line 9", "match 2 of 11"),
        ("/line 9\ngjN", 82, at_end, "match 11 of 11"),
        // A search that is given up leaves the one before.
        ("/line 50\n/line 9^", 44, "/line 50", "match 1 of 1"),
        ("/line 50\n/\n", 44, "/line 50", "match 1 of 1"),
        // Case matters where there is an upper-case letter.
        ("/error", 82, "/error", "match 1 of 1"),
        ("/Error", 82, "/Error", "match 1 of 1"),
        ("/ERROR", 82, "/ERROR", "no match"),
        ("/eE", 82, "/eE", "no match"),
        ("/Ä", 82, "/Ä", "no match"),
        ("/ä部", 82, "/ä部", "match 1 of 1"),
    ] {
        let text =
            lines(1..=100).replace("line 85\n", "line 85 Error\nline 86 ä部\n").replace("line 86\n", "");
        let mut stage = open(&text);
        press(&mut stage, keys);
        let expected = (format!("line {first}"), left.to_owned(), position.to_owned());
        assert_eq!(seen(&mut stage), expected, "{keys:?}\n{}", stage.text());
    }
}

#[test]
fn a_search_that_found_something_follows_no_more_and_esc_follows_again() {
    let mut stage = open(&lines(1..=100));
    let follows = |stage: &mut Stage| stage.text().lines().nth(2).unwrap().contains(" following ");
    press(&mut stage, "/line 9");
    assert_eq!(stage.app.context(), Context::Search);
    assert!(!follows(&mut stage));
    grow(&mut stage, &lines(101..=130));
    assert_eq!(seen(&mut stage).0, "line 82");
    press(&mut stage, "^");
    assert!(follows(&mut stage));
    assert_eq!(seen(&mut stage).0, "line 112");
    press(&mut stage, "/zzz\n");
    assert!(follows(&mut stage));
}

#[test]
fn what_comes_is_searched_too_and_what_goes_is_forgotten() {
    let mut stage = open("an error\n");
    press(&mut stage, "/error\n");
    grow(&mut stage, "no\nstill an err");
    assert_eq!(seen(&mut stage).2, "match 1 of 1");
    grow(&mut stage, "or");
    assert_eq!(seen(&mut stage).2, "match 1 of 2");
    grow(&mut stage, ", and more\n");
    assert_eq!(seen(&mut stage).2, "match 1 of 2");
    press(&mut stage, "n");
    assert_eq!(seen(&mut stage).2, "match 2 of 2");
    grow(&mut stage, &lines(1..=199_999));
    assert_eq!(seen(&mut stage).2, "match 1 of 1  2 oldest gone");
    grow(&mut stage, &lines(1..=10));
    assert_eq!(seen(&mut stage).2, "no match  12 oldest gone");
}

/// The text that is shown with a modifier inside the box, row by row.
fn looks(stage: &mut Stage, modifier: Modifier) -> Vec<String> {
    let buffer = stage.draw();
    let rows = buffer.area.rows().skip(3).take(19);
    let marked = |row: ratatui::layout::Rect| -> String {
        let cells = row.columns().map(|place| &buffer[(place.x, place.y)]);
        cells.filter(|cell| cell.modifier.contains(modifier)).map(ratatui::buffer::Cell::symbol).collect()
    };
    rows.map(marked).filter(|row| !row.is_empty()).collect()
}

#[test]
fn matches_stand_out_without_colour_also_where_they_are_wrapped() {
    let mut stage = open(&format!("one two one\n{}one\nnone\n", "x".repeat(75)));
    press(&mut stage, "W/ONE^/one\n");
    assert_eq!(looks(&mut stage, Modifier::REVERSED), ["oneone"]);
    assert_eq!(looks(&mut stage, Modifier::UNDERLINED), ["o", "ne", "one"]);
    press(&mut stage, "n");
    assert_eq!(looks(&mut stage, Modifier::REVERSED), ["o", "ne"]);
    assert_eq!(looks(&mut stage, Modifier::UNDERLINED), ["oneone", "one"]);
    // Without wrapping it is brought into view sideways.
    press(&mut stage, "^W/one\nn");
    assert_eq!(looks(&mut stage, Modifier::REVERSED), ["one"]);
    press(&mut stage, "n");
    assert!(rows(&mut stage).contains(&"none".to_owned()), "{}", stage.text());
}

#[test]
fn a_search_is_pasted_as_one_line_and_shown_harmlessly() {
    let mut stage = open("a b c\n");
    press(&mut stage, "/");
    stage.tell(Event::Paste("b\n \u{1b}c".to_owned()));
    assert_eq!(seen(&mut stage), ("a b c".to_owned(), "/b c".to_owned(), "match 1 of 1".to_owned()));
    stage.press(crossterm::event::KeyCode::Backspace);
    stage.press(crossterm::event::KeyCode::Backspace);
    stage.press(crossterm::event::KeyCode::Backspace);
    assert_eq!(seen(&mut stage).1, "/");
}
