//! Colours and symbols, and terminals without them.

use crate::ansi::{is_colour, styles};
use crate::common::{FakeListener, NatsServer, base_presence, base_report};
use crate::harness::{BACK_TAB, Console, LEAVE, console};
use serde_json::json;
use vt100::Color;

/// A message of a host in several languages.
const MESSAGE: &str = "Aufbau läuft: 語 ✓ é";

/// Uses the console with these variables; returns everything that was written.
fn written(environment: &[(&str, &str)]) -> String {
    let nats = NatsServer::start();
    let _peer = FakeListener::start(&nats, base_presence("old1", "test", "legacy"), |request| {
        let mut running = base_report("old1", "running", None, MESSAGE);
        running["id"] = request["id"].clone();
        running["progress"] = json!({"done": 1, "expected": 2, "activity": MESSAGE});
        let mut failed = base_report("old1", "failed", Some("build_failed"), MESSAGE);
        failed["id"] = request["id"].clone();
        vec![running, failed]
    });
    let mut command = console(&nats, "admin");
    command.envs(environment.iter().copied());
    let mut console = Console::of(&command, 80, 24);
    console.line(&[" 1 host ", " 1 online"]);
    let row = console.lines().iter().position(|line| line.contains(" old1 ")).unwrap();
    let row = u16::try_from(row).unwrap();
    console.until("the selected row reversed from end to end", |screen| {
        let inverse = |column| screen.cell(row, column).is_some_and(vt100::Cell::inverse);
        (1..79).all(inverse) && !inverse(0) && !inverse(79)
    });
    console.types("?");
    console.shows("deploy to the marked hosts");
    console.types("?/läuft");
    console.shows("no host matches");
    console.types("\u{15}\r d");
    console.shows(" Deploy to 1 host ]");
    console.types(&format!("{BACK_TAB}\r"));
    console.shows("1 failed (old1)");
    console.line(&["build failed: Aufbau l"]);
    console.resize(39, 9);
    console.shows("needs at least ");
    console.types(LEAVE);
    let screen = console.wait_for_exit();
    assert_eq!((screen.code, screen.left), (0, Vec::new()));
    screen.raw
}

#[test]
fn states_have_their_colours_and_their_symbols() {
    let nats = NatsServer::start();
    // The first row is selected and has no colours.
    let _peers = ["old1", "old2"]
        .map(|name| FakeListener::start(&nats, base_presence(name, "test", "legacy"), |_| Vec::new()));
    let mut console = Console::open(&nats, "admin");
    console.row("old1", &["● idle"]);
    let row = console.row("old2", &["● idle"]);
    let at = u16::try_from(row.chars().position(|c| c == '●').unwrap()).unwrap();
    let line = console.lines().iter().position(|line| *line == row).unwrap();
    let line = u16::try_from(line).unwrap();
    console.until("a green symbol", |screen| {
        screen.cell(line, at).is_some_and(|cell| cell.fgcolor() == Color::Idx(2))
    });
    console.until("a bold name", |screen| screen.cell(line, 4).is_some_and(vt100::Cell::bold));
    console.types("d");
    console.shows("─ deploy ─");
    // The focused field is reversed, and so is the button when it has the focus.
    for (keys, reversed) in [("", "hosts"), ("\t", "revision"), ("\t", "action"), ("\t", "[ Cancel ]")] {
        console.types(keys);
        console.until(&format!("{reversed:?} reversed"), |screen| inverse(screen) == reversed);
    }
}

/// The reversed text inside the form.
fn inverse(screen: &vt100::Screen) -> String {
    let (_, columns) = screen.size();
    let lines = crate::common::lines(screen);
    let form = lines.iter().position(|line| line.contains("─ deploy ─")).unwrap_or(0);
    let rows = (form..lines.len()).filter_map(|row| u16::try_from(row).ok());
    let cells = rows.flat_map(|row| (0..columns.get()).filter_map(move |column| screen.cell(row, column)));
    let reversed: String = cells.filter(|cell| cell.inverse()).map(vt100::Cell::contents).collect();
    reversed.trim().to_owned()
}

#[test]
fn without_colours_nothing_is_coloured_and_the_selected_row_is_still_reversed() {
    assert!(styles(&written(&[])).iter().any(|style| is_colour(style)));
    for environment in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let coloured = styles(&written(&[environment])).into_iter().find(|style| is_colour(style));
        assert_eq!(coloured, None, "{environment:?}");
    }
}

#[test]
fn only_ascii_is_written_in_an_ascii_locale() {
    for environment in [[("LANG", "C"), ("LC_ALL", "")], [("LANG", "C.UTF-8"), ("LC_ALL", "C")]] {
        let raw = written(&environment);
        let beyond = raw.char_indices().find(|(_, c)| !c.is_ascii());
        assert_eq!(beyond.map(|(at, _)| &raw[at..raw.len().min(at + 8)]), None, "{environment:?}");
    }
}
