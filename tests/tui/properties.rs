//! Any sequence of events leaves a console that can be drawn, at any size.

use crate::stage::{
    COLOUR, Stage, answer, building, failed, history, name, noon, present, report, said, unbuilt,
};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use homelab_deploy::bus::Refusal;
use homelab_deploy::deployer::{HostResult, LogNews, Outcome, Told, Verdict};
use homelab_deploy::protocol::{Changes, Inbound, Name, Progress, Status};
use homelab_deploy::tui::{Event, Fault, LinkState, OrderNews, Screen};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use ratatui::layout::Size;

#[derive(Debug, Clone)]
enum Step {
    Key(KeyCode, KeyModifiers),
    Paste(String),
    Resize(u16, u16),
    Clock(i64),
    Present(u8, Option<bool>),
    Reported(u8, u8, u8, u64),
    Raw(Vec<u8>),
    Link(bool, Option<i64>),
    Log(String),
    Refused(String),
    Fault(String),
    Order(u8, u8, String),
    Open,
    History(u8, u64),
    Shell(Option<String>),
    WholeLog(String, u64),
    Lines(usize),
    Saved(String),
    Frame,
}

fn host(n: u8) -> String {
    if n == 0 { "h".repeat(63) } else { format!("host{n}") }
}

fn step() -> impl Strategy<Value = Step> {
    let key = prop_oneof![
        4 => prop::sample::select("jkgG daaSs/?cyn!:tweb1prod qvvvJKftwbDxxlllyFWWnNtS".chars().collect::<Vec<_>>()).prop_map(KeyCode::Char),
        1 => any::<char>().prop_map(KeyCode::Char),
        4 => prop::sample::select(vec![
            KeyCode::Enter, KeyCode::Esc, KeyCode::Tab, KeyCode::BackTab, KeyCode::Left, KeyCode::Right, KeyCode::Up,
            KeyCode::Down, KeyCode::PageUp, KeyCode::PageDown, KeyCode::Home, KeyCode::End, KeyCode::Backspace,
            KeyCode::Delete, KeyCode::F(5), KeyCode::Null,
        ]),
    ];
    let modifiers = prop_oneof![9 => Just(KeyModifiers::NONE), 1 => Just(KeyModifiers::CONTROL), 1 => Just(KeyModifiers::ALT)];
    prop_oneof![
        20 => (key, modifiers).prop_map(|(code, modifiers)| Step::Key(code, modifiers)),
        1 => any::<String>().prop_map(Step::Paste),
        2 => (0..220_u16, 0..70_u16).prop_map(|(width, height)| Step::Resize(width, height)),
        2 => (-100_000..100_000_i64).prop_map(Step::Clock),
        4 => (0..30_u8, any::<Option<bool>>()).prop_map(|(host, online)| Step::Present(host, online)),
        8 => (0..30_u8, 0..5_u8, 0..5_u8, any::<u64>()).prop_map(|(host, id, kind, n)| Step::Reported(host, id, kind, n)),
        1 => any::<Vec<u8>>().prop_map(Step::Raw),
        1 => (any::<bool>(), any::<Option<i64>>()).prop_map(|(up, wait)| Step::Link(up, wait)),
        2 => any::<String>().prop_map(Step::Log),
        1 => any::<String>().prop_map(Step::Refused),
        1 => any::<String>().prop_map(Step::Fault),
        2 => (0..6_u8, 0..30_u8, any::<String>()).prop_map(|(kind, host, text)| Step::Order(kind, host, text)),
        2 => Just(Step::Open),
        3 => (0..8_u8, any::<u64>()).prop_map(|(kind, n)| Step::History(kind, n)),
        1 => any::<Option<String>>().prop_map(Step::Shell),
        4 => (any::<String>(), 0..3000_u64).prop_map(|(text, kept)| Step::WholeLog(text, kept)),
        2 => (0..3000_usize).prop_map(Step::Lines),
        1 => any::<String>().prop_map(Step::Saved),
        3 => Just(Step::Frame),
    ]
}

fn take(stage: &mut Stage, step: Step) {
    match step {
        Step::Key(code, modifiers) => stage.tell(Event::Key(KeyEvent::new(code, modifiers))),
        Step::Paste(text) => stage.tell(Event::Paste(text)),
        Step::Resize(width, height) => stage.tell(Event::Resize(Size { width, height })),
        Step::Clock(seconds) => stage.clock(noon() + SignedDuration::from_secs(seconds)),
        Step::Present(n, online) => {
            let mut answer = answer(&host(n), if n % 2 == 0 { "test" } else { "prod" }, "web");
            answer.online = online;
            answer.interval_s = Some(u64::MAX >> (n % 60));
            answer.failed_units = (0..n % 4).map(|unit| format!("unit{unit}\u{1b}[2J\n.service")).collect();
            answer.boot_at = Some(if n % 2 == 0 { Timestamp::MIN } else { Timestamp::MAX });
            stage.hear(stage.app.now, [present(answer)]);
        }
        Step::Reported(n, id, kind, number) => {
            let (host, id) = (host(n), format!("d{id}"));
            let mut report = match kind {
                0 => building(&host, &id),
                1 => failed(&host, &id),
                2 => report(&host, &id, Status::Completed),
                3 => unbuilt(&host, &id, "\u{1b}[2Jfoo"),
                _ => report(&host, &id, Status::Rejected),
            };
            (report.seq, report.elapsed_ms, report.heartbeat_s) = (Some(number), Some(number), Some(number));
            report.progress = Some(Progress {
                done: number,
                expected: number / 2,
                expected_bytes: number,
                ..Progress::default()
            });
            report.changes =
                (number % 3 == 0).then(|| Box::new(Changes { bytes: Some(i64::MIN), ..Changes::default() }));
            stage.hear(stage.app.now, [said(report)]);
        }
        Step::Raw(bytes) => {
            let read = Inbound::parse("deploy.responses.presence", &bytes);
            stage.tell(Event::Messages(vec![read], noon()));
        }
        Step::Link(up, wait) => stage.link(LinkState {
            up,
            next_try: wait.and_then(|wait| noon().checked_add(SignedDuration::from_millis(wait)).ok()),
            reason: (!up).then(|| "\u{1b}[2Jgone".to_owned()),
            ..LinkState::default()
        }),
        Step::Log(text) => {
            if let Some(key) = stage.app.log.as_ref().map(|log| log.key.clone()) {
                stage.tell(Event::Log(key, LogNews::Text { offset: 0, text }));
            }
        }
        Step::Refused(subject) => stage.tell(Event::Refused(Refusal { publish: true, subject })),
        Step::Fault(text) => stage.tell(Event::Fault(Fault { title: text.clone(), text })),
        Step::Order(kind, n, text) => order(stage, kind, n, text),
        Step::Open => {
            stage.press(KeyCode::Esc);
            stage.press(KeyCode::Enter);
        }
        Step::History(kind, number) => told(stage, kind, number),
        Step::Shell(why) => stage.tell(Event::Shell(why.map_or(Ok(()), Err))),
        Step::WholeLog(text, kept) => whole_log(stage, text, Some(kept)),
        Step::Lines(count) => whole_log(stage, "web 建設 1\n".repeat(count), None),
        Step::Saved(text) => stage.tell(Event::Saved(Err(text))),
        Step::Frame => stage.tell(Event::Frame),
    }
}

/// A host of the open screen, or one of none, tells of its past.
fn told(stage: &mut Stage, kind: u8, number: u64) {
    let open = stage.app.screens.iter().find_map(Screen::as_host).map(|screen| screen.host.clone());
    let told = match kind {
        0 => Ok(Told::Silent),
        1 => Ok(Told::TooOld),
        2 => Err("\u{1b}[2Jdown".to_owned()),
        kind => {
            let mut entries = history();
            entries.truncate(usize::from(kind) * 2);
            if let Some(entry) = entries.first_mut() {
                (entry.elapsed_ms, entry.generation) = (number, Some(number));
                entry.at = if number.is_multiple_of(2) { Timestamp::MIN } else { Timestamp::MAX };
                (entry.issuer, entry.revision) =
                    (Some("部屋\u{202e}".repeat(90)), Some("\u{1b}[31m".to_owned()));
            }
            Ok(Told::Answer(entries))
        }
    };
    stage.tell(Event::History(open.unwrap_or_else(|| name("host1")), told));
}

/// The next piece of the log that is open.
fn whole_log(stage: &mut Stage, text: String, kept: Option<u64>) {
    if let Some(Screen::Log(screen)) = stage.app.screens.last() {
        let (key, offset) = (screen.key.clone(), screen.text.received());
        stage.tell(Event::WholeLog { key, news: LogNews::Text { offset, text }, kept });
    }
}

/// News of the last deployment that was sent from here, or of one that nobody knows.
fn order(stage: &mut Stage, kind: u8, n: u8, text: String) {
    let last = stage.app.orders.back().map(|order| order.plan.id.clone());
    let id = last.unwrap_or_else(|| "unknown".parse().unwrap());
    let of_host = |host: &Name, verdict, report| HostResult {
        host: host.clone(),
        instance: None,
        verdict,
        seen: None,
        report,
    };
    let hosts = match kind {
        3 | 4 => {
            let verdict = [Verdict::Completed, Verdict::Silent][usize::from(kind % 2)];
            stage.app.table.listed().iter().map(|host| of_host(host, verdict, None)).collect()
        }
        _ => {
            let (host, report) = (name(&host(n)), unbuilt(&host(n), id.as_str(), &text));
            vec![of_host(&host, Verdict::Failed, Some(report.into())), of_host(&host, Verdict::Failed, None)]
        }
    };
    let news = match kind {
        0 => OrderNews::Note(text),
        1 => OrderNews::Failed(text),
        2 => OrderNews::Again(name(&host(n)), format!("d{}", n % 5).parse().unwrap(), text),
        _ => OrderNews::Ended(Outcome::new(id.clone(), hosts)),
    };
    stage.tell(Event::Order(id, news));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_events_leave_a_console_that_can_be_drawn(steps in prop::collection::vec(step(), 1..80)) {
        let mut stage = Stage::fleet(80, 24, COLOUR);
        for step in steps {
            take(&mut stage, step);
        }
        let size = stage.app.size;
        let text = stage.text();
        prop_assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{:?}", text);
        prop_assert_eq!(text.lines().count(), if size.width == 0 { text.lines().count() } else { usize::from(size.height) });
        // What is selected on the screen of a host is in view, and nothing changes by being looked at again.
        if let Some(screen) = stage.app.screens.last().and_then(Screen::as_host) {
            let before = (screen.top, screen.selected.clone());
            stage.tell(Event::Frame);
            prop_assert_eq!((stage.host().top, stage.host().selected.clone()), before);
        }
        // Whatever it shows, it can be left, and its selection is a row.
        let table = &stage.app.table;
        prop_assert!(table.selected().is_none() == table.rows().is_empty());
        prop_assert_eq!(table.selected(), table.rows().get(table.row()));
        match stage.app.screens.last() {
            Some(Screen::Deployments(screen)) => {
                prop_assert_eq!(screen.cursor.selected(), screen.cursor.rows().get(screen.cursor.row()));
            }
            Some(Screen::Deployment(screen)) => {
                prop_assert_eq!(screen.cursor.selected(), screen.cursor.rows().get(screen.cursor.row()));
            }
            _ => {}
        }
        stage.effects();
        stage.tell(Event::Key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)));
        prop_assert_eq!(stage.effects(), [homelab_deploy::tui::Effect::Quit]);
    }
}
