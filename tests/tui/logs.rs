//! The logs of several hosts in one stream.

use crate::harness::{
    COLOUR, Harness, PLAIN, answer, assert_frame, name, noon, presence_message, report, report_message,
    rollout,
};
use crate::keys::keys;
use homelab_deploy::client::LogEvent;
use homelab_deploy::protocol::{Id, Status};
use homelab_deploy::tui::{ConsoleEvent, Context, Effect, LogKey, Screen, Theme};

fn log_key(host: &str, job: &str) -> LogKey {
    LogKey { host: name(host), job: Id::new(job).unwrap() }
}

fn receive(harness: &mut Harness, key: &LogKey, text: &str) {
    let event = LogEvent::Text { offset: 0, text: text.to_owned() };
    harness.apply(ConsoleEvent::HostLog(key.clone(), event));
}

/// The logs of two web servers and a database, opened with these keys.
fn harness(width: u16, height: u16, theme: Theme, typed: &str) -> Harness {
    let mut harness = Harness::new(width, height, theme);
    for (host, job) in [("web1", "d1"), ("web2", "d1"), ("db1", "d2")] {
        let role = host.trim_end_matches(char::is_numeric);
        harness.receive(
            noon(),
            [
                presence_message(answer(host, "test", role)),
                report_message(report(host, job, Status::Completed)),
            ],
        );
    }
    harness.apply(ConsoleEvent::Frame);
    harness.effects();
    keys(&mut harness, typed);
    harness.apply(ConsoleEvent::Frame);
    harness
}

/// The logs with some lines.
fn with_lines(width: u16, height: u16, theme: Theme) -> Harness {
    let mut harness = harness(width, height, theme, "aL");
    let [web1, web2, db1] = [log_key("web1", "d1"), log_key("web2", "d1"), log_key("db1", "d2")];
    receive(&mut harness, &web1, "building nginx\nError: bind() to 0.0.0.0:9100 fai");
    receive(&mut harness, &db1, "restarting postgresql.service\n");
    receive(&mut harness, &web1, "led\n\u{1b}[31mred\u{1b}[0m text\n");
    receive(&mut harness, &web2, "building nginx\nunfinished");
    harness.apply(ConsoleEvent::HostLog(web2, LogEvent::End));
    harness.apply(ConsoleEvent::HostLog(db1, LogEvent::Missing));
    harness
}

/// The lines on the screen, each with its host.
fn lines(harness: &mut Harness) -> Vec<String> {
    let text = harness.text();
    let inside = text.lines().filter_map(|line| line.strip_prefix('│')?.strip_suffix('│'));
    inside.map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
}

#[test]
fn snapshots_of_the_logs() {
    for (width, height) in [(80, 24), (120, 40), (200, 60)] {
        let mut harness = with_lines(width, height, COLOUR);
        keys(&mut harness, "/nginx|postgres\n");
        assert_frame!(format!("logs-{width}x{height}"), harness);
    }
}

#[test]
fn the_marked_hosts_are_followed_and_their_lines_have_names() {
    let mut harness = harness(120, 40, PLAIN, "aL");
    assert_eq!(harness.app.context(), Context::Logs);
    let keys_of = vec![log_key("db1", "d2"), log_key("web1", "d1"), log_key("web2", "d1")];
    assert!(harness.effects().contains(&Effect::FullLogs(keys_of)));
    let mut harness = with_lines(120, 40, PLAIN);
    let expected = [
        "web1 │building nginx",
        "db1  │restarting postgresql.service",
        "web1 │Error: bind() to 0.0.0.0:9100 failed",
        "web1 │red text",
        "web2 │building nginx",
        "web2 │unfinished",
        "db1  │(the host has no log of this job)",
    ];
    assert_eq!(lines(&mut harness), expected);
    assert!(harness.text().contains("2 of 3 ended, following"), "{}", harness.text());
}

#[test]
fn the_filter_hides_lines_and_is_a_regular_expression() {
    for (typed, shown, note) in [
        ("error|postgres", 2, "2 of 7 lines"),
        ("^build", 2, "2 of 7 lines"),
        ("error: bind\\(\\)", 1, "1 of 7 lines"),
        ("Building", 0, "0 of 7 lines"),
        ("bind(", 1, "not a regular expression, searched as text"),
        ("nowhere", 0, "no line matches"),
    ] {
        let mut harness = with_lines(120, 40, PLAIN);
        keys(&mut harness, "/");
        assert_eq!(harness.app.context(), Context::LogsFilter);
        harness.type_text(typed);
        let Some(Screen::Logs(screen)) = harness.app.screens.last() else { panic!("no logs") };
        assert_eq!(screen.len(), shown, "{typed}");
        assert!(harness.text().contains(note), "{typed}: no {note:?} in\n{}", harness.text());
        // Escape restores what was shown before; enter keeps the filter, and lines that arrive are filtered, too.
        keys(&mut harness, "\n");
        receive(&mut harness, &log_key("web1", "d1"), "error: postgres is gone\n");
        let Some(Screen::Logs(screen)) = harness.app.screens.last() else { panic!("no logs") };
        let matches = usize::from(typed.contains("postgres"));
        assert_eq!(screen.len(), shown + matches, "{typed}");
        keys(&mut harness, "/x^");
        let Some(Screen::Logs(screen)) = harness.app.screens.last() else { panic!("no logs") };
        assert_eq!((screen.filter.text.as_str(), screen.len()), (typed, shown + matches));
        keys(&mut harness, "^");
        let Some(Screen::Logs(screen)) = harness.app.screens.last() else { panic!("no logs") };
        assert_eq!(screen.len(), 8);
        keys(&mut harness, "^");
        assert_eq!(harness.app.context(), Context::Fleet);
    }
}

#[test]
fn grep_selects_hosts_and_filters() {
    let mut harness = harness(120, 40, PLAIN, ":grep bind fai.ed role=web\n");
    assert_eq!(harness.app.context(), Context::Logs);
    let expected = vec![log_key("web1", "d1"), log_key("web2", "d1")];
    assert!(harness.effects().contains(&Effect::FullLogs(expected)));
    assert!(harness.text().contains("log of 2 hosts /bind fai.ed"), "{}", harness.text());
    let mut harness = self::harness(120, 40, PLAIN, ":grep role=web\n");
    assert!(harness.text().contains("grep takes a regular expression"), "{}", harness.text());
}

#[test]
fn the_logs_of_a_deployment_leave_out_hosts_without_a_job() {
    let mut harness = Harness::fleet(120, 40, PLAIN);
    rollout(&mut harness);
    harness.apply(ConsoleEvent::Frame);
    keys(&mut harness, "vj\nL");
    harness.effects();
    harness.apply(ConsoleEvent::Frame);
    let effects = harness.effects();
    let Some(Effect::FullLogs(logs)) = effects.last() else { panic!("{effects:?}") };
    // app8 rejected the request.
    assert_eq!(logs.len(), 11);
    assert!(logs.iter().all(|key| key.job == Id::new("d9").unwrap() && key.host != name("app8")));
}

#[test]
fn memory_is_bounded_and_the_view_stays_where_it_is() {
    let mut harness = harness(120, 40, PLAIN, "aL");
    let key = log_key("web1", "d1");
    for n in 0..300 {
        let text: Vec<_> = (0..100).map(|line| format!("line {}\n", n * 100 + line)).collect();
        let text = text.concat();
        receive(&mut harness, &key, &text);
    }
    receive(&mut harness, &key, &"x".repeat(100_000));
    let Some(Screen::Logs(screen)) = harness.app.screens.last() else { panic!("no logs") };
    assert_eq!((screen.all(), screen.dropped), (20_000, 10_001));
    assert!(harness.text().contains("10001 older lines were dropped"), "{}", harness.text());
    keys(&mut harness, "kkk");
    let before = lines(&mut harness);
    receive(&mut harness, &key, "\nmore\nand more\n");
    assert_eq!(lines(&mut harness), before);
    assert!(harness.text().contains("paused"), "{}", harness.text());
}
