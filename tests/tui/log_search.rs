//! The search in a log.

use crate::harness::Harness;
use crate::log_screen::{grow, lines, open, press, rows};
use homelab_deploy::tui::{ConsoleEvent, Context};
use ratatui::style::Modifier;

/// The first visible row, the search or notice below, and the position of the match.
fn seen(harness: &mut Harness) -> (String, String, String) {
    let first = rows(harness).first().cloned().unwrap_or_default();
    let text = harness.text();
    let edge = text.lines().nth(22).unwrap().trim_matches(['└', '┘', '─', ' ']).to_owned();
    let (left, right) = edge.split_once(" ─").unwrap_or(("", &edge));
    let position = right.trim_start_matches(['─', ' ']);
    let position = position.split("lines ").next().unwrap_or_default();
    (first, left.to_owned(), position.trim_end().to_owned())
}

#[test]
fn keys_that_search() {
    let at_end = "search continued from the end";
    let at_start = "search continued from the beginning";
    // The end of the log is in view, from line 82 on.
    for (keys, first, left, position) in [
        // A match in view does not move it.
        ("/line 9", 82, "/line 9", "match 2 of 11"),
        ("/line 9^", 82, "", ""),
        // At the end the search wraps around; a third of the rows stays above the match.
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
        ("n", 82, "no search yet; press / to search", ""),
        ("N", 82, "no search yet; press / to search", ""),
        // The search starts at the visible lines if the last match is not among them.
        ("g/line 9\nvvn", 82, "/line 9", "match 2 of 11"),
        ("/line 9\ngjN", 82, at_end, "match 11 of 11"),
        // A cancelled search restores the previous one.
        ("/line 50\n/line 9^", 44, "/line 50", "match 1 of 1"),
        ("/line 50\n/\n", 44, "/line 50", "match 1 of 1"),
        // An upper-case letter makes the search case-sensitive.
        ("/error", 82, "/error", "match 1 of 1"),
        ("/Error", 82, "/Error", "match 1 of 1"),
        ("/ERROR", 82, "/ERROR", "no match"),
        ("/eE", 82, "/eE", "no match"),
        ("/Ä", 82, "/Ä", "no match"),
        ("/ä部", 82, "/ä部", "match 1 of 1"),
    ] {
        let text =
            lines(1..=100).replace("line 85\n", "line 85 Error\nline 86 ä部\n").replace("line 86\n", "");
        let mut harness = open(&text);
        press(&mut harness, keys);
        let expected = (format!("line {first}"), left.to_owned(), position.to_owned());
        assert_eq!(seen(&mut harness), expected, "{keys:?}\n{}", harness.text());
    }
}

#[test]
fn a_match_stops_following_and_escape_resumes_it() {
    let mut harness = open(&lines(1..=100));
    let follows = |harness: &mut Harness| harness.text().lines().nth(2).unwrap().contains(" following ");
    press(&mut harness, "/line 9");
    assert_eq!(harness.app.context(), Context::Search);
    assert!(!follows(&mut harness));
    grow(&mut harness, &lines(101..=130));
    assert_eq!(seen(&mut harness).0, "line 82");
    press(&mut harness, "^");
    assert!(follows(&mut harness));
    assert_eq!(seen(&mut harness).0, "line 112");
    press(&mut harness, "/zzz\n");
    assert!(follows(&mut harness));
}

#[test]
fn new_lines_are_searched_and_dropped_lines_forgotten() {
    let mut harness = open("an error\n");
    press(&mut harness, "/error\n");
    grow(&mut harness, "no\nstill an err");
    assert_eq!(seen(&mut harness).2, "match 1 of 1");
    grow(&mut harness, "or");
    assert_eq!(seen(&mut harness).2, "match 1 of 2");
    grow(&mut harness, ", and more\n");
    assert_eq!(seen(&mut harness).2, "match 1 of 2");
    press(&mut harness, "n");
    assert_eq!(seen(&mut harness).2, "match 2 of 2");
    grow(&mut harness, &lines(1..=199_999));
    assert_eq!(seen(&mut harness).2, "match 1 of 1  2 oldest missing");
    grow(&mut harness, &lines(1..=10));
    assert_eq!(seen(&mut harness).2, "no match  12 oldest missing");
}

/// The text with a modifier inside the frame, row by row.
fn text_with(harness: &mut Harness, modifier: Modifier) -> Vec<String> {
    let buffer = harness.draw();
    let rows = buffer.area.rows().skip(3).take(19);
    let marked = |row: ratatui::layout::Rect| -> String {
        let cells = row.columns().map(|place| &buffer[(place.x, place.y)]);
        cells.filter(|cell| cell.modifier.contains(modifier)).map(ratatui::buffer::Cell::symbol).collect()
    };
    rows.map(marked).filter(|row| !row.is_empty()).collect()
}

#[test]
fn matches_are_highlighted_without_colour_even_if_wrapped() {
    let mut harness = open(&format!("one two one\n{}one\nnone\n", "x".repeat(75)));
    press(&mut harness, "W/ONE^/one\n");
    assert_eq!(text_with(&mut harness, Modifier::REVERSED), ["oneone"]);
    assert_eq!(text_with(&mut harness, Modifier::UNDERLINED), ["o", "ne", "one"]);
    press(&mut harness, "n");
    assert_eq!(text_with(&mut harness, Modifier::REVERSED), ["o", "ne"]);
    assert_eq!(text_with(&mut harness, Modifier::UNDERLINED), ["oneone", "one"]);
    // Without wrapping, the view scrolls sideways to the match.
    press(&mut harness, "^W/one\nn");
    assert_eq!(text_with(&mut harness, Modifier::REVERSED), ["one"]);
    press(&mut harness, "n");
    assert!(rows(&mut harness).contains(&"none".to_owned()), "{}", harness.text());
}

#[test]
fn a_search_is_pasted_as_one_line_and_shown_escaped() {
    let mut harness = open("a b c\n");
    press(&mut harness, "/");
    harness.apply(ConsoleEvent::Paste("b\n \u{1b}c".to_owned()));
    assert_eq!(seen(&mut harness), ("a b c".to_owned(), "/b c".to_owned(), "match 1 of 1".to_owned()));
    harness.press(crossterm::event::KeyCode::Backspace);
    harness.press(crossterm::event::KeyCode::Backspace);
    harness.press(crossterm::event::KeyCode::Backspace);
    assert_eq!(seen(&mut harness).1, "/");
}
