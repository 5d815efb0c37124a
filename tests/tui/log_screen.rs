//! The screen of a log: what is in view, whatever comes and goes.

use crate::screens::snapshots;
use crate::stage::{PLAIN, Stage, building, failed, name, noon, report, said};
use crossterm::event::KeyCode;
use homelab_deploy::deployer::LogNews;
use homelab_deploy::protocol::{DeployReport, Id, Status};
use homelab_deploy::tui::{Context, Effect, Event, LogKey, Screen};
use jiff::SignedDuration;
use ratatui::layout::Size;
use std::sync::Arc;

pub(crate) fn key(host: &str, job: &str) -> LogKey {
    LogKey { host: name(host), job: Id::new(job).unwrap() }
}

/// Lines of these numbers.
pub(crate) fn lines(numbers: std::ops::RangeInclusive<usize>) -> String {
    numbers.map(|number| format!("line {number}\n")).collect::<Vec<_>>().concat()
}

/// What the host tells of the log of `ns1`.
pub(crate) fn tell(stage: &mut Stage, news: LogNews, kept: Option<u64>) {
    stage.tell(Event::WholeLog { key: key("ns1", "d2"), news, kept });
    stage.tell(Event::Frame);
}

/// The next piece of that log.
pub(crate) fn grow(stage: &mut Stage, text: &str) {
    let Some(Screen::Log(screen)) = stage.app.screens.last() else { panic!("no log is open") };
    let offset = screen.text.received();
    tell(stage, LogNews::Text { offset, text: text.to_owned() }, Some(0));
}

/// The log of `ns1`, in a terminal that shows 19 rows of 76 columns, with such a text.
pub(crate) fn open(text: &str) -> Stage {
    let mut stage = Stage::fleet(80, 24, PLAIN);
    stage.go_to("ns1");
    stage.types("l");
    stage.tell(Event::Frame);
    assert_eq!(stage.app.context(), Context::Log);
    if !text.is_empty() {
        grow(&mut stage, text);
    }
    stage
}

/// `^` is escape, `<` left, `>` right, `u` page up, `v` page down, and `\n` enter.
pub(crate) fn press(stage: &mut Stage, keys: &str) {
    for c in keys.chars() {
        stage.press(match c {
            '^' => KeyCode::Esc,
            '<' => KeyCode::Left,
            '>' => KeyCode::Right,
            'u' => KeyCode::PageUp,
            'v' => KeyCode::PageDown,
            '\n' => KeyCode::Enter,
            c => KeyCode::Char(c),
        });
        stage.tell(Event::Frame);
    }
}

/// The rows of the log that hold something.
pub(crate) fn rows(stage: &mut Stage) -> Vec<String> {
    let text = stage.text();
    let rows = text.lines().filter_map(|line| line.strip_prefix("│ ")?.strip_suffix('│'));
    rows.map(|row| row.trim_end().to_owned()).filter(|row| !row.is_empty()).collect()
}

/// The first and the last row, and the state in the title.
fn seen(stage: &mut Stage) -> (String, String, String) {
    let rows = rows(stage);
    let text = stage.text();
    let title = text.lines().nth(2).unwrap();
    let told = title.trim_end_matches(['─', '┐', ' ']).rsplit("─ ").next().unwrap();
    (rows.first().cloned().unwrap_or_default(), rows.last().cloned().unwrap_or_default(), told.to_owned())
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
        let mut stage = open(&lines(1..=100));
        press(&mut stage, keys);
        let expected = (format!("line {first}"), format!("line {last}"), state.to_owned());
        assert_eq!(seen(&mut stage), expected, "{keys:?}\n{}", stage.text());
    }
}

#[test]
fn what_comes_moves_only_what_follows() {
    let mut stage = open(&lines(1..=100));
    grow(&mut stage, "line 101\nline 102 without its e");
    assert_eq!(seen(&mut stage).1, "line 102 without its e");
    grow(&mut stage, "nd\n");
    press(&mut stage, "kk");
    let before = rows(&mut stage);
    grow(&mut stage, &lines(103..=150));
    assert_eq!(rows(&mut stage), before);
    // Two that were in view before are not new.
    assert_eq!(seen(&mut stage).2, "paused, 48 new lines below");
    press(&mut stage, "v");
    assert_eq!(seen(&mut stage), ("line 101".into(), "line 119".into(), "paused, 31 new lines below".into()));
    press(&mut stage, "G");
    assert_eq!(seen(&mut stage), ("line 132".into(), "line 150".into(), "following".into()));
    press(&mut stage, "k");
    assert_eq!(seen(&mut stage).2, "paused");
    grow(&mut stage, "one more\n");
    assert_eq!(seen(&mut stage).2, "paused, 1 new line below");
}

#[test]
fn the_oldest_lines_go_and_that_is_told() {
    let mut stage = open(&lines(1..=100_000));
    press(&mut stage, "k");
    let before = rows(&mut stage);
    grow(&mut stage, &lines(100_001..=250_000));
    assert_eq!(rows(&mut stage), before, "what is in view stays");
    let text = stage.text();
    assert!(text.contains("50000 oldest gone  lines 99981-99999 of 250000"), "{text}");
    press(&mut stage, "g");
    assert_eq!(seen(&mut stage).0, "line 50001");
    // What was in view goes too in the end; then the oldest is.
    grow(&mut stage, &lines(250_001..=250_010));
    assert_eq!(seen(&mut stage).0, "line 50011");
    // Few lines can be much text.
    let Some(Screen::Log(screen)) = stage.app.screens.last() else { panic!() };
    assert!(screen.text.whole().len() < 4 << 20);
    for _ in 0..20 {
        grow(&mut stage, &format!("{}\n", "x".repeat(1 << 20)));
    }
    let Some(Screen::Log(screen)) = stage.app.screens.last() else { panic!() };
    let kept = screen.text.whole();
    assert!(kept.len() <= 16 << 20 && kept.len() > 15 << 20, "{}", kept.len());
}

#[test]
fn long_lines_are_scrolled_sideways_or_wrapped() {
    let long = (0..20).map(|number| format!("<{number:02}345678>")).collect::<Vec<_>>().concat();
    let mut stage = open(&format!("short\n{long}\nend\n"));
    let row = |stage: &mut Stage| rows(stage)[1].clone();
    assert_eq!(row(&mut stage), format!("{}…", &long[..75]));
    for (keys, from) in [(">", 16), (">>", 32), (">>>>>>>>>>>>>", 124), (">>>>>>>>>>>>>>><<", 92), ("<", 0)] {
        let mut stage = open(&format!("short\n{long}\nend\n"));
        press(&mut stage, keys);
        let shown =
            if from == 124 { long[124..].to_owned() } else { format!("{}…", &long[from..from + 75]) };
        assert!(rows(&mut stage).contains(&shown), "{keys:?}\n{}", stage.text());
    }
    press(&mut stage, "W>");
    assert_eq!(rows(&mut stage), ["short", &long[..76], &long[76..152], &long[152..], "end"]);
}

#[test]
fn a_wrapped_line_is_scrolled_row_by_row_and_stays_whatever_the_size() {
    let long = (0..200).map(|number| format!("<{number:03}4567>")).collect::<Vec<_>>().concat();
    let mut stage = open(&format!("{long}\n{}", lines(1..=3)));
    press(&mut stage, "W");
    assert_eq!(seen(&mut stage).1, "line 3");
    press(&mut stage, "gjjj");
    assert_eq!(seen(&mut stage).0, long[3 * 76..4 * 76]);
    grow(&mut stage, &lines(4..=9));
    assert_eq!(seen(&mut stage).0, long[3 * 76..4 * 76]);
    // The text at the top stays in view.
    stage.tell(Event::Resize(Size { width: 60, height: 24 }));
    assert_eq!(seen(&mut stage).0, long[4 * 56..5 * 56]);
    press(&mut stage, "kkkkk");
    assert_eq!(seen(&mut stage).0, long[..56]);
}

#[test]
fn characters_take_what_they_take_on_the_screen() {
    // Wide ones, one with an accent of its own, a sign that is not made a picture, and what would do something.
    let mut stage = open(&format!("{}e\u{301}\u{26a0}\u{fe0f}\u{1b}[2J\tx\u{200b}\n", "建".repeat(37)));
    press(&mut stage, "W");
    assert_eq!(rows(&mut stage), [format!("{}e\u{301}\u{26a0}", "建".repeat(37)), " x".to_owned()]);
    stage.tell(Event::Resize(Size { width: 61, height: 24 }));
    assert_eq!(rows(&mut stage)[0], "建".repeat(28));
    press(&mut stage, "W>");
    assert_eq!(rows(&mut stage)[0], format!("{}…", "建".repeat(28)));
    let mut stage = open(&format!("a{}\n", "建".repeat(60)));
    press(&mut stage, ">");
    // Half a wide character is a blank.
    assert!(stage.text().contains(&format!("│  {}… │", "建".repeat(37))), "{}", stage.text());
}

#[test]
fn times_stand_before_lines_that_came_live() {
    let mut stage = open("");
    let piece = |offset, text: &str| LogNews::Text { offset, text: text.to_owned() };
    tell(&mut stage, piece(0, "old\n"), None);
    tell(&mut stage, piece(4, "older\nnew\n"), Some(10));
    stage.clock(noon() + SignedDuration::from_secs(65));
    grow(&mut stage, "newest, ");
    stage.clock(noon() + SignedDuration::from_secs(70));
    grow(&mut stage, &"long ".repeat(20));
    press(&mut stage, "tW");
    let long = format!("newest, {}", "long ".repeat(20));
    let expected = [
        "         old".to_owned(),
        "         older".to_owned(),
        "12:31:07 new".to_owned(),
        format!("12:32:12 {}", &long[..67]),
        format!("         {}", long[67..].trim_end()),
    ];
    assert_eq!(rows(&mut stage), expected);
    assert!(stage.text().contains(" following  wrap  times "));
    press(&mut stage, "t");
    assert_eq!(rows(&mut stage)[0], "old");
}

#[test]
fn pieces_that_come_again_count_once() {
    let mut stage = open("");
    for (offset, text) in [(5, "late"), (0, "one\n"), (0, "one\ntw"), (2, "e\n"), (6, "o\n"), (99, "gap")] {
        tell(&mut stage, LogNews::Text { offset, text: text.to_owned() }, None);
    }
    let news = LogNews::Text { offset: 8, text: "of another job".to_owned() };
    stage.tell(Event::WholeLog { key: key("ns1", "d1"), news, kept: None });
    assert_eq!(rows(&mut stage), ["one", "two"]);
    // Also where one begins within a character of another.
    for (offset, text) in [(8, "a"), (8, "部b\n"), (13, "end\n")] {
        tell(&mut stage, LogNews::Text { offset, text: text.to_owned() }, None);
    }
    assert_eq!(rows(&mut stage), ["one", "two", "ab", "end"]);
}

#[test]
fn how_a_log_stands_is_told() {
    let mut stage = open("");
    assert_eq!(seen(&mut stage).0, "reading the log");
    tell(&mut stage, LogNews::Silent, None);
    assert_eq!(seen(&mut stage).0, "the host does not answer for its log; it is asked again and again");
    assert_eq!(seen(&mut stage).2, "the host is silent");
    grow(&mut stage, "here\n");
    assert_eq!(seen(&mut stage), ("here".into(), "here".into(), "following".into()));
    tell(&mut stage, LogNews::Silent, None);
    assert_eq!(seen(&mut stage), ("here".into(), "here".into(), "the host is silent".into()));
    assert!(stage.text().contains("─ ns1 ▸ switch main b04c7de  ▶ 0:46 ─"), "{}", stage.text());
    tell(&mut stage, LogNews::Back, None);
    assert_eq!(seen(&mut stage).2, "following");
    stage.hear(noon(), [said(failed("ns1", "d2"))]);
    tell(&mut stage, LogNews::End, None);
    assert_eq!(seen(&mut stage).2, "ended");
    let ended = "─ ns1 ▸ switch main b04c7de  ✗ failed (verification_failed)";
    assert!(stage.text().contains(ended), "{}", stage.text());
    press(&mut stage, "F");
    assert_eq!(seen(&mut stage).2, "ended, paused");
    // Of a job after it nothing is said here.
    let mut next = building("ns1", "d3");
    next.seq = Some(1_000_100);
    stage.hear(noon(), [said(next)]);
    assert!(stage.text().contains(ended), "{}", stage.text());

    let mut stage = open("");
    tell(&mut stage, LogNews::Missing, None);
    assert_eq!(seen(&mut stage).0, "the host keeps no log of this job");
    assert_eq!(seen(&mut stage).2, "no log");
    let mut stage = open("");
    stage.hear(noon(), [said(report("ns1", "d2", Status::Completed))]);
    tell(&mut stage, LogNews::End, None);
    assert_eq!(seen(&mut stage).0, "the log is empty");
    assert!(stage.text().contains("✓ completed in 48.2 s: switch done"), "{}", stage.text());
}

/// A failed job with what a host has collected after the failure.
fn diagnosed() -> DeployReport {
    let mut report = failed("ns1", "d2");
    report.diagnostics = Some(
        "line 1\n-- a line of the log\n-- journal of nginx.service\nnginx: [emerg] bind() failed\n\
         -- now runs /nix/store/old\n-- 498 MiB are free on /boot"
            .to_owned(),
    );
    report
}

/// The log of `ns1` and what follows it.
const WITH_REASON: [&str; 6] = [
    "line 1",
    "-- a line of the log",
    "-- journal of nginx.service",
    "nginx: [emerg] bind() failed",
    "-- now runs /nix/store/old",
    "-- 498 MiB are free on /boot",
];

#[test]
fn why_a_job_failed_follows_its_log() {
    let log = "line 1\n-- a line of the log\n";
    // Known from the final report.
    let mut stage = open(log);
    stage.hear(noon(), [said(diagnosed())]);
    assert_eq!(rows(&mut stage).len(), 2, "not before the log has ended");
    stage.effects();
    tell(&mut stage, LogNews::End, None);
    assert_eq!(stage.effects(), []);
    assert_eq!(rows(&mut stage), WITH_REASON);
    press(&mut stage, "/emerg\n");
    assert!(stage.text().contains("match 1 of 1"), "{}", stage.text());

    // Presence leaves it out, so the host is queried, once.
    let mut stage = open(log);
    stage.hear(noon(), [said(failed("ns1", "d2"))]);
    stage.effects();
    tell(&mut stage, LogNews::End, None);
    assert_eq!(stage.effects(), [Effect::Job(key("ns1", "d2"))]);
    tell(&mut stage, LogNews::End, None);
    assert_eq!(stage.effects(), []);
    stage.tell(Event::Job(key("ns1", "d1"), Some(Arc::new(diagnosed()))));
    assert_eq!(rows(&mut stage).len(), 2, "of another job");
    for _ in 0..2 {
        stage.tell(Event::Job(key("ns1", "d2"), Some(Arc::new(diagnosed()))));
        assert_eq!(rows(&mut stage), WITH_REASON);
    }

    // Also where the log is gone; and nothing is added where there is nothing to say.
    let mut stage = open("");
    tell(&mut stage, LogNews::Missing, None);
    stage.tell(Event::Job(key("ns1", "d2"), Some(Arc::new(diagnosed()))));
    assert_eq!(rows(&mut stage), WITH_REASON[2..]);
    for reply in [None, Some(Arc::new(failed("ns1", "d2")))] {
        let mut stage = open(log);
        tell(&mut stage, LogNews::End, None);
        stage.tell(Event::Job(key("ns1", "d2"), reply));
        assert_eq!(rows(&mut stage), WITH_REASON[..2]);
    }
    let mut stage = open(log);
    stage.hear(noon(), [said(report("ns1", "d2", Status::Completed))]);
    stage.effects();
    tell(&mut stage, LogNews::End, None);
    assert_eq!(stage.effects(), [], "a job that completed has no reason");
}

#[test]
fn one_log_is_followed_at_a_time() {
    let mut stage = Stage::fleet(80, 24, PLAIN);
    stage.go_to("ns1");
    assert_eq!(stage.effects().last(), Some(&Effect::Log(Some(key("ns1", "d2")))));
    press(&mut stage, "l");
    assert_eq!(stage.effects(), [Effect::WholeLog(key("ns1", "d2"))]);
    grow(&mut stage, "a line\n");
    // What was asked for before is none of it.
    let late = LogNews::Text { offset: 7, text: "late\n".to_owned() };
    stage.tell(Event::Log(key("ns1", "d2"), late));
    assert_eq!(rows(&mut stage), ["a line"]);
    press(&mut stage, "?");
    press(&mut stage, "^");
    assert_eq!(stage.effects(), []);
    press(&mut stage, "^");
    assert_eq!(stage.effects(), [Effect::Log(Some(key("ns1", "d2")))]);
    assert_eq!(stage.app.context(), Context::Fleet);
    // From the screen of a host, and back to it.
    press(&mut stage, "\nl");
    assert_eq!(stage.effects().last(), Some(&Effect::WholeLog(key("ns1", "d2"))));
    assert!(stage.text().starts_with(" homelab-deploy ▸ fleet ▸ ns1 ▸ log "), "{}", stage.text());
    press(&mut stage, "q");
    assert_eq!(stage.app.context(), Context::Host);
    press(&mut stage, "^");
    stage.go_to("db1");
    press(&mut stage, "l");
    assert_eq!(stage.app.context(), Context::Fleet);
    assert!(stage.text().contains("db1 has no job whose log could be read"), "{}", stage.text());
}

#[test]
fn it_is_saved_as_it_came() {
    let mut stage = open("");
    stage.effects();
    press(&mut stage, "S");
    assert_eq!(stage.effects(), []);
    assert!(stage.text().contains("there is nothing to save yet"));
    let text = format!("\u{1b}[31mred\u{1b}[0m\r\n\n{}\n\u{200b}no end", "部".repeat(20_000));
    grow(&mut stage, &text);
    press(&mut stage, "S");
    let effects = stage.effects();
    let [Effect::SaveLog(file)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!((file.name.as_str(), file.gone), ("ns1-d2.log", 0));
    assert!(file.text == text, "every byte");
    stage.tell(Event::Saved(Ok("saved /home/alice/ns1-d2.log".to_owned())));
    assert!(stage.text().contains("└─ saved /home/alice/ns1-d2.log "), "{}", stage.text());
    // A long path is read as a whole, whatever else stands there.
    let path = format!("saved /{}/ns1-d2.log", "x".repeat(55));
    stage.tell(Event::Saved(Ok(path.clone())));
    assert!(stage.text().contains(&path), "{}", stage.text());
    stage.tell(Event::Saved(Err("no room is left on the device; make some".to_owned())));
    assert_eq!(stage.app.context(), Context::Fault);
    let text = stage.text();
    assert!(text.contains("The log was not saved") && text.contains("device; make some"), "{text}");
}

#[test]
fn a_log_looks_so() {
    snapshots("log", |stage| {
        stage.go_to("ns1");
        press(stage, "l");
        grow(stage, &lines(1..=30).replace("line 9\n", "building linux-6.12.9, 建設\n"));
        press(stage, "k/line 2\ntn");
        grow(stage, &lines(31..=70));
    });
}
