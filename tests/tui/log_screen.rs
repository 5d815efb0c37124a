//! The log screen: its position, contents and state.

use crate::harness::{Harness, PLAIN, building, failed, name, noon, report, report_message};
use crate::screens::snapshots;
use crossterm::event::KeyCode;
use homelab_deploy::client::LogEvent;
use homelab_deploy::protocol::{DeployReport, Id, Status};
use homelab_deploy::tui::{ConsoleEvent, Context, Effect, LogKey, Screen};
use jiff::SignedDuration;
use ratatui::layout::Size;
use std::sync::Arc;

pub(crate) fn key(host: &str, job: &str) -> LogKey {
    LogKey { host: name(host), job: Id::new(job).unwrap() }
}

/// Lines with these numbers.
pub(crate) fn lines(numbers: std::ops::RangeInclusive<usize>) -> String {
    numbers.map(|number| format!("line {number}\n")).collect::<Vec<_>>().concat()
}

/// Delivers an event of the log of `ns1`.
pub(crate) fn deliver(harness: &mut Harness, event: LogEvent, stored_len: Option<u64>) {
    harness.apply(ConsoleEvent::FullLog { key: key("ns1", "d2"), event, stored_len });
    harness.apply(ConsoleEvent::Frame);
}

/// Delivers the next piece of that log.
pub(crate) fn grow(harness: &mut Harness, text: &str) {
    let Some(Screen::Log(screen)) = harness.app.screens.last() else { panic!("no log is open") };
    let offset = screen.text.received();
    deliver(harness, LogEvent::Text { offset, text: text.to_owned() }, Some(0));
}

/// The log of `ns1` with this text, in a terminal that shows 19 rows of 76 columns.
pub(crate) fn open(text: &str) -> Harness {
    let mut harness = Harness::fleet(80, 24, PLAIN);
    harness.go_to("ns1");
    harness.type_text("l");
    harness.apply(ConsoleEvent::Frame);
    assert_eq!(harness.app.context(), Context::Log);
    if !text.is_empty() {
        grow(&mut harness, text);
    }
    harness
}

/// Presses keys: `^` is escape, `<` left, `>` right, `u` page up, `v` page down, and `\n` enter.
pub(crate) fn press(harness: &mut Harness, keys: &str) {
    for c in keys.chars() {
        harness.press(match c {
            '^' => KeyCode::Esc,
            '<' => KeyCode::Left,
            '>' => KeyCode::Right,
            'u' => KeyCode::PageUp,
            'v' => KeyCode::PageDown,
            '\n' => KeyCode::Enter,
            c => KeyCode::Char(c),
        });
        harness.apply(ConsoleEvent::Frame);
    }
}

/// The rows of the log that are not empty.
pub(crate) fn rows(harness: &mut Harness) -> Vec<String> {
    let text = harness.text();
    let rows = text.lines().filter_map(|line| line.strip_prefix("│ ")?.strip_suffix(['│', '┃']));
    rows.map(|row| row.trim_end().to_owned()).filter(|row| !row.is_empty()).collect()
}

/// The first and the last row, and the state in the title.
fn seen(harness: &mut Harness) -> (String, String, String) {
    let rows = rows(harness);
    let text = harness.text();
    let title = text.lines().nth(2).unwrap();
    let state = title.trim_end_matches(['─', '┐', ' ']).rsplit("─ ").next().unwrap();
    (rows.first().cloned().unwrap_or_default(), rows.last().cloned().unwrap_or_default(), state.to_owned())
}

#[test]
fn keys_that_scroll() {
    for (keys, first, last, state) in [
        ("", 82, 100, "following"),
        ("j", 82, 100, "following"),
        ("k", 81, 99, "paused"),
        ("kj", 82, 100, "paused"),
        ("kjj", 82, 100, "paused"),
        ("kG", 82, 100, "following"),
        ("u", 63, 81, "paused"),
        ("uv", 82, 100, "paused"),
        ("uuuuuuuu", 1, 19, "paused"),
        ("g", 1, 19, "paused"),
        ("gk", 1, 19, "paused"),
        ("gj", 2, 20, "paused"),
        ("gv", 20, 38, "paused"),
        ("gvvvvvvv", 82, 100, "paused"),
        ("gF", 82, 100, "following"),
        ("F", 82, 100, "paused"),
        ("FF", 82, 100, "following"),
        ("gW", 1, 19, "paused  wrap"),
        ("gWu", 1, 19, "paused  wrap"),
        ("WW", 82, 100, "following"),
        ("WFk", 81, 99, "paused  wrap"),
    ] {
        let mut harness = open(&lines(1..=100));
        press(&mut harness, keys);
        let expected = (format!("line {first}"), format!("line {last}"), state.to_owned());
        assert_eq!(seen(&mut harness), expected, "{keys:?}\n{}", harness.text());
    }
}

#[test]
fn new_lines_scroll_only_a_followed_log() {
    let mut harness = open(&lines(1..=100));
    grow(&mut harness, "line 101\nline 102 without its e");
    assert_eq!(seen(&mut harness).1, "line 102 without its e");
    grow(&mut harness, "nd\n");
    press(&mut harness, "kk");
    let before = rows(&mut harness);
    grow(&mut harness, &lines(103..=150));
    assert_eq!(rows(&mut harness), before);
    // Two of the new lines were in view.
    assert_eq!(seen(&mut harness).2, "paused, 48 new lines below");
    press(&mut harness, "v");
    assert_eq!(
        seen(&mut harness),
        ("line 101".into(), "line 119".into(), "paused, 31 new lines below".into())
    );
    press(&mut harness, "G");
    assert_eq!(seen(&mut harness), ("line 132".into(), "line 150".into(), "following".into()));
    press(&mut harness, "k");
    assert_eq!(seen(&mut harness).2, "paused");
    grow(&mut harness, "one more\n");
    assert_eq!(seen(&mut harness).2, "paused, 1 new line below");
}

#[test]
fn dropped_lines_are_counted() {
    let mut harness = open(&lines(1..=100_000));
    press(&mut harness, "k");
    let before = rows(&mut harness);
    grow(&mut harness, &lines(100_001..=250_000));
    assert_eq!(rows(&mut harness), before, "what is in view stays");
    let text = harness.text();
    assert!(text.contains("50000 oldest missing  lines 99981-99999 of 250000"), "{text}");
    press(&mut harness, "g");
    assert_eq!(seen(&mut harness).0, "line 50001");
    // The visible lines are dropped last; then the oldest remaining line is shown.
    grow(&mut harness, &lines(250_001..=250_010));
    assert_eq!(seen(&mut harness).0, "line 50011");
    // Few lines can also exceed the limit.
    let Some(Screen::Log(screen)) = harness.app.screens.last() else { panic!() };
    assert!(screen.text.whole().len() < 4 << 20);
    for _ in 0..20 {
        grow(&mut harness, &format!("{}\n", "x".repeat(1 << 20)));
    }
    let Some(Screen::Log(screen)) = harness.app.screens.last() else { panic!() };
    let text = screen.text.whole();
    assert!(text.len() <= 16 << 20 && text.len() > 15 << 20, "{}", text.len());
}

#[test]
fn long_lines_are_scrolled_sideways_or_wrapped() {
    let long = (0..20).map(|number| format!("<{number:02}345678>")).collect::<Vec<_>>().concat();
    let mut harness = open(&format!("short\n{long}\nend\n"));
    let row = |harness: &mut Harness| rows(harness)[1].clone();
    assert_eq!(row(&mut harness), format!("{}…", &long[..75]));
    for (keys, from) in [(">", 16), (">>", 32), (">>>>>>>>>>>>>", 124), (">>>>>>>>>>>>>>><<", 92), ("<", 0)] {
        let mut harness = open(&format!("short\n{long}\nend\n"));
        press(&mut harness, keys);
        let shown =
            if from == 124 { long[124..].to_owned() } else { format!("{}…", &long[from..from + 75]) };
        assert!(rows(&mut harness).contains(&shown), "{keys:?}\n{}", harness.text());
    }
    press(&mut harness, "W>");
    assert_eq!(rows(&mut harness), ["short", &long[..76], &long[76..152], &long[152..], "end"]);
}

#[test]
fn a_wrapped_line_scrolls_by_row_and_survives_resizing() {
    let long = (0..200).map(|number| format!("<{number:03}4567>")).collect::<Vec<_>>().concat();
    let mut harness = open(&format!("{long}\n{}", lines(1..=3)));
    press(&mut harness, "W");
    assert_eq!(seen(&mut harness).1, "line 3");
    press(&mut harness, "gjjj");
    assert_eq!(seen(&mut harness).0, long[3 * 76..4 * 76]);
    grow(&mut harness, &lines(4..=9));
    assert_eq!(seen(&mut harness).0, long[3 * 76..4 * 76]);
    // The text at the top stays in view.
    harness.apply(ConsoleEvent::Resize(Size { width: 60, height: 24 }));
    assert_eq!(seen(&mut harness).0, long[4 * 56..5 * 56]);
    press(&mut harness, "kkkkk");
    assert_eq!(seen(&mut harness).0, long[..56]);
}

#[test]
fn characters_use_their_display_width() {
    // Wide characters, a combining accent, a sign without its emoji form, and control characters.
    let mut harness = open(&format!("{}e\u{301}\u{26a0}\u{fe0f}\u{1b}[2J\tx\u{200b}\n", "建".repeat(37)));
    press(&mut harness, "W");
    assert_eq!(rows(&mut harness), [format!("{}e\u{301}\u{26a0}", "建".repeat(37)), " x".to_owned()]);
    harness.apply(ConsoleEvent::Resize(Size { width: 61, height: 24 }));
    assert_eq!(rows(&mut harness)[0], "建".repeat(28));
    press(&mut harness, "W>");
    assert_eq!(rows(&mut harness)[0], format!("{}…", "建".repeat(28)));
    let mut harness = open(&format!("a{}\n", "建".repeat(60)));
    press(&mut harness, ">");
    // A wide character that is cut in half becomes a space.
    assert!(harness.text().contains(&format!("│  {}… │", "建".repeat(37))), "{}", harness.text());
}

#[test]
fn live_lines_have_timestamps() {
    let mut harness = open("");
    let piece = |offset, text: &str| LogEvent::Text { offset, text: text.to_owned() };
    deliver(&mut harness, piece(0, "old\n"), None);
    deliver(&mut harness, piece(4, "older\nnew\n"), Some(10));
    harness.clock(noon() + SignedDuration::from_secs(65));
    grow(&mut harness, "newest, ");
    harness.clock(noon() + SignedDuration::from_secs(70));
    grow(&mut harness, &"long ".repeat(20));
    press(&mut harness, "tW");
    let long = format!("newest, {}", "long ".repeat(20));
    let expected = [
        "         old".to_owned(),
        "         older".to_owned(),
        "12:31:07 new".to_owned(),
        format!("12:32:12 {}", &long[..67]),
        format!("         {}", long[67..].trim_end()),
    ];
    assert_eq!(rows(&mut harness), expected);
    assert!(harness.text().contains(" following  wrap  times "));
    press(&mut harness, "t");
    assert_eq!(rows(&mut harness)[0], "old");
}

#[test]
fn repeated_pieces_are_ignored() {
    let mut harness = open("");
    for (offset, text) in [(5, "late"), (0, "one\n"), (0, "one\ntw"), (2, "e\n"), (6, "o\n"), (99, "gap")] {
        deliver(&mut harness, LogEvent::Text { offset, text: text.to_owned() }, None);
    }
    let event = LogEvent::Text { offset: 8, text: "of another job".to_owned() };
    harness.apply(ConsoleEvent::FullLog { key: key("ns1", "d1"), event, stored_len: None });
    assert_eq!(rows(&mut harness), ["one", "two"]);
    // A piece can also start within a character of another one.
    for (offset, text) in [(8, "a"), (8, "部b\n"), (13, "end\n")] {
        deliver(&mut harness, LogEvent::Text { offset, text: text.to_owned() }, None);
    }
    assert_eq!(rows(&mut harness), ["one", "two", "ab", "end"]);
}

#[test]
fn the_state_of_a_log_is_shown() {
    let mut harness = open("");
    assert_eq!(seen(&mut harness).0, "reading the log");
    deliver(&mut harness, LogEvent::NoAnswer, None);
    assert_eq!(seen(&mut harness).0, "no answer to the log query; retrying");
    assert_eq!(seen(&mut harness).2, "no answer from the host");
    grow(&mut harness, "here\n");
    assert_eq!(seen(&mut harness), ("here".into(), "here".into(), "following".into()));
    deliver(&mut harness, LogEvent::NoAnswer, None);
    assert_eq!(seen(&mut harness), ("here".into(), "here".into(), "no answer from the host".into()));
    assert!(harness.text().contains("─ ns1 ▸ switch main b04c7de  ▶ 0:46 ─"), "{}", harness.text());
    deliver(&mut harness, LogEvent::Recovered, None);
    assert_eq!(seen(&mut harness).2, "following");
    harness.receive(noon(), [report_message(failed("ns1", "d2"))]);
    deliver(&mut harness, LogEvent::End, None);
    assert_eq!(seen(&mut harness).2, "ended");
    let ended = "─ ns1 ▸ switch main b04c7de  ✗ failed (verification failed)";
    assert!(harness.text().contains(ended), "{}", harness.text());
    press(&mut harness, "F");
    assert_eq!(seen(&mut harness).2, "ended, paused");
    // A later job does not change the title.
    let mut next = building("ns1", "d3");
    next.seq = Some(1_000_100);
    harness.receive(noon(), [report_message(next)]);
    assert!(harness.text().contains(ended), "{}", harness.text());

    let mut harness = open("");
    deliver(&mut harness, LogEvent::Missing, None);
    assert_eq!(seen(&mut harness).0, "the host has no log of this job");
    assert_eq!(seen(&mut harness).2, "no log");
    let mut harness = open("");
    harness.receive(noon(), [report_message(report("ns1", "d2", Status::Completed))]);
    deliver(&mut harness, LogEvent::End, None);
    assert_eq!(seen(&mut harness).0, "the log is empty");
    assert!(harness.text().contains("✓ completed in 48.2 s: switch done"), "{}", harness.text());
}

/// A failed job with diagnostics.
fn diagnosed() -> DeployReport {
    let mut report = failed("ns1", "d2");
    report.diagnostics = Some(
        "line 1\n-- a line of the log\n-- journal of nginx.service\nnginx: [emerg] bind() failed\n\
         -- now runs /nix/store/old\n-- 498 MiB are free on /boot"
            .to_owned(),
    );
    report
}

/// The log of `ns1`, followed by its diagnostics.
const WITH_DIAGNOSTICS: [&str; 6] = [
    "line 1",
    "-- a line of the log",
    "-- journal of nginx.service",
    "nginx: [emerg] bind() failed",
    "-- now runs /nix/store/old",
    "-- 498 MiB are free on /boot",
];

#[test]
fn diagnostics_follow_the_log_of_a_failed_job() {
    let log = "line 1\n-- a line of the log\n";
    // The diagnostics are known from the final report.
    let mut harness = open(log);
    harness.receive(noon(), [report_message(diagnosed())]);
    assert_eq!(rows(&mut harness).len(), 2, "not before the log has ended");
    harness.effects();
    deliver(&mut harness, LogEvent::End, None);
    assert_eq!(harness.effects(), []);
    assert_eq!(rows(&mut harness), WITH_DIAGNOSTICS);
    press(&mut harness, "/emerg\n");
    assert!(harness.text().contains("match 1 of 1"), "{}", harness.text());

    // Presence messages have no diagnostics, so the host is queried, once.
    let mut harness = open(log);
    harness.receive(noon(), [report_message(failed("ns1", "d2"))]);
    harness.effects();
    deliver(&mut harness, LogEvent::End, None);
    assert_eq!(harness.effects(), [Effect::Job(key("ns1", "d2"))]);
    deliver(&mut harness, LogEvent::End, None);
    assert_eq!(harness.effects(), []);
    harness.apply(ConsoleEvent::Job(key("ns1", "d1"), Some(Arc::new(diagnosed()))));
    assert_eq!(rows(&mut harness).len(), 2, "of another job");
    for _ in 0..2 {
        harness.apply(ConsoleEvent::Job(key("ns1", "d2"), Some(Arc::new(diagnosed()))));
        assert_eq!(rows(&mut harness), WITH_DIAGNOSTICS);
    }

    // They are also shown without a log; without diagnostics, nothing is added.
    let mut harness = open("");
    deliver(&mut harness, LogEvent::Missing, None);
    harness.apply(ConsoleEvent::Job(key("ns1", "d2"), Some(Arc::new(diagnosed()))));
    assert_eq!(rows(&mut harness), WITH_DIAGNOSTICS[2..]);
    for reply in [None, Some(Arc::new(failed("ns1", "d2")))] {
        let mut harness = open(log);
        deliver(&mut harness, LogEvent::End, None);
        harness.apply(ConsoleEvent::Job(key("ns1", "d2"), reply));
        assert_eq!(rows(&mut harness), WITH_DIAGNOSTICS[..2]);
    }
    let mut harness = open(log);
    harness.receive(noon(), [report_message(report("ns1", "d2", Status::Completed))]);
    harness.effects();
    deliver(&mut harness, LogEvent::End, None);
    assert_eq!(harness.effects(), [], "a completed job has no diagnostics");
}

#[test]
fn one_log_is_followed_at_a_time() {
    let mut harness = Harness::fleet(80, 24, PLAIN);
    harness.go_to("ns1");
    assert_eq!(harness.effects().last(), Some(&Effect::Log(Some(key("ns1", "d2")))));
    press(&mut harness, "l");
    assert_eq!(harness.effects(), [Effect::FullLog(key("ns1", "d2"))]);
    grow(&mut harness, "a line\n");
    // An event of the previous follower is ignored.
    let late = LogEvent::Text { offset: 7, text: "late\n".to_owned() };
    harness.apply(ConsoleEvent::Log(key("ns1", "d2"), late));
    assert_eq!(rows(&mut harness), ["a line"]);
    press(&mut harness, "?");
    press(&mut harness, "^");
    assert_eq!(harness.effects(), []);
    press(&mut harness, "^");
    assert_eq!(harness.effects(), [Effect::Log(Some(key("ns1", "d2")))]);
    assert_eq!(harness.app.context(), Context::Fleet);
    // From a host screen, and back to it.
    press(&mut harness, "\nl");
    assert_eq!(harness.effects().last(), Some(&Effect::FullLog(key("ns1", "d2"))));
    assert!(harness.text().starts_with(" homelab-deploy ▸ fleet ▸ ns1 ▸ log "), "{}", harness.text());
    press(&mut harness, "q");
    assert_eq!(harness.app.context(), Context::Host);
    press(&mut harness, "^");
    harness.go_to("db1");
    press(&mut harness, "l");
    assert_eq!(harness.app.context(), Context::Fleet);
    assert!(harness.text().contains("db1 has no job with a log"), "{}", harness.text());
}

#[test]
fn a_log_is_saved_as_received() {
    let mut harness = open("");
    harness.effects();
    press(&mut harness, "S");
    assert_eq!(harness.effects(), []);
    assert!(harness.text().contains("nothing to save yet"));
    let text = format!("\u{1b}[31mred\u{1b}[0m\r\n\n{}\n\u{200b}no end", "部".repeat(20_000));
    grow(&mut harness, &text);
    // The command line shows the file, which can be changed.
    press(&mut harness, "S");
    assert_eq!(harness.effects(), []);
    assert!(harness.text().contains(":save ~/ns1-d2.log"), "{}", harness.text());
    press(&mut harness, "\n");
    let effects = harness.effects();
    let [Effect::SaveLog(file)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!((file.path.as_path(), file.dropped_lines), ("~/ns1-d2.log".as_ref(), 0));
    assert!(file.text == text, "every byte");
    // The directory is remembered.
    harness.type_text(":save /var/tmp/other");
    press(&mut harness, "\n");
    harness.effects();
    press(&mut harness, "S");
    assert!(harness.text().contains(":save /var/tmp/ns1-d2.log"), "{}", harness.text());
    press(&mut harness, "^");
    harness.apply(ConsoleEvent::Saved(Ok("saved /home/alice/ns1-d2.log".to_owned())));
    assert!(harness.text().contains("└─ saved /home/alice/ns1-d2.log "), "{}", harness.text());
    // A long path is shown completely, so the position gives way.
    let path = format!("saved /{}/ns1-d2.log", "x".repeat(55));
    harness.apply(ConsoleEvent::Saved(Ok(path.clone())));
    assert!(harness.text().contains(&path), "{}", harness.text());
    harness.apply(ConsoleEvent::Saved(Err("no space left on device; free some".to_owned())));
    assert_eq!(harness.app.context(), Context::ErrorDialog);
    let text = harness.text();
    assert!(text.contains("The log was not saved") && text.contains("device; free some"), "{text}");
}

#[test]
fn a_log_screen() {
    snapshots("log", |harness| {
        harness.go_to("ns1");
        press(harness, "l");
        grow(harness, &lines(1..=30).replace("line 9\n", "building linux-6.12.9, 建設\n"));
        press(harness, "k/line 2\ntn");
        grow(harness, &lines(31..=70));
    });
}
