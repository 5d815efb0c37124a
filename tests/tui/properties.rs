//! Any sequence of events leaves a console that can be drawn, at any size.

use crate::harness::{
    COLOUR, Harness, answer, build_failure, building, failed, history, name, noon, presence_message, report,
    report_message,
};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use homelab_deploy::client::{DeploymentSummary, HostResult, LogEvent, Reply, ResultKind};
use homelab_deploy::fleet::{failure_groups, host_share};
use homelab_deploy::nats::PermissionViolation;
use homelab_deploy::protocol::{Changes, Inbound, Name, Progress, Status};
use homelab_deploy::tui::{ConnectionStatus, ConsoleEvent, ErrorDialog, Screen, SentDeploymentEvent};
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
    Connection(bool, Option<i64>),
    Log(String),
    Refused(String),
    Error(String),
    SentDeployment(u8, u8, String),
    Open,
    History(u8, u64),
    Shell(Option<String>),
    FullLog(String, u64),
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
        1 => (any::<bool>(), any::<Option<i64>>()).prop_map(|(up, wait)| Step::Connection(up, wait)),
        2 => any::<String>().prop_map(Step::Log),
        1 => any::<String>().prop_map(Step::Refused),
        1 => any::<String>().prop_map(Step::Error),
        2 => (0..6_u8, 0..30_u8, any::<String>()).prop_map(|(kind, host, text)| Step::SentDeployment(kind, host, text)),
        2 => Just(Step::Open),
        3 => (0..8_u8, any::<u64>()).prop_map(|(kind, n)| Step::History(kind, n)),
        1 => any::<Option<String>>().prop_map(Step::Shell),
        4 => (any::<String>(), 0..3000_u64).prop_map(|(text, stored_len)| Step::FullLog(text, stored_len)),
        2 => (0..3000_usize).prop_map(Step::Lines),
        1 => any::<String>().prop_map(Step::Saved),
        3 => Just(Step::Frame),
    ]
}

fn run_step(harness: &mut Harness, step: Step) {
    match step {
        Step::Key(code, modifiers) => harness.apply(ConsoleEvent::Key(KeyEvent::new(code, modifiers))),
        Step::Paste(text) => harness.apply(ConsoleEvent::Paste(text)),
        Step::Resize(width, height) => harness.apply(ConsoleEvent::Resize(Size { width, height })),
        Step::Clock(seconds) => harness.clock(noon() + SignedDuration::from_secs(seconds)),
        Step::Present(n, online) => {
            let mut answer = answer(&host(n), if n % 2 == 0 { "test" } else { "prod" }, "web");
            answer.online = online;
            answer.interval_s = Some(u64::MAX >> (n % 60));
            answer.failed_units = (0..n % 4).map(|unit| format!("unit{unit}\u{1b}[2J\n.service")).collect();
            answer.booted_at = Some(if n % 2 == 0 { Timestamp::MIN } else { Timestamp::MAX });
            harness.receive(harness.app.now, [presence_message(answer)]);
        }
        Step::Reported(n, id, kind, number) => {
            let (host, id) = (host(n), format!("d{id}"));
            let mut report = match kind {
                0 => building(&host, &id),
                1 => failed(&host, &id),
                2 => report(&host, &id, Status::Completed),
                3 => build_failure(&host, &id, "\u{1b}[2Jfoo"),
                _ => report(&host, &id, Status::Rejected),
            };
            (report.seq, report.elapsed_ms, report.heartbeat_s) = (Some(number), Some(number), Some(number));
            report.progress = Some(Box::new(Progress {
                done: number,
                expected: number / 2,
                expected_bytes: number,
                ..Progress::default()
            }));
            report.changes =
                (number % 3 == 0).then(|| Box::new(Changes { bytes: Some(i64::MIN), ..Changes::default() }));
            harness.receive(harness.app.now, [report_message(report)]);
        }
        Step::Raw(bytes) => {
            let read = Inbound::parse("deploy.responses.presence", &bytes);
            harness.apply(ConsoleEvent::Messages(vec![read], noon()));
        }
        Step::Connection(up, wait) => harness.connect(ConnectionStatus {
            up,
            next_try: wait.and_then(|wait| noon().checked_add(SignedDuration::from_millis(wait)).ok()),
            reason: (!up).then(|| "\u{1b}[2Jgone".to_owned()),
            ..ConnectionStatus::default()
        }),
        Step::Log(text) => {
            if let Some(key) = harness.app.log.as_ref().map(|log| log.key.clone()) {
                harness.apply(ConsoleEvent::Log(key, LogEvent::Text { offset: 0, text }));
            }
        }
        Step::Refused(subject) => {
            harness.apply(ConsoleEvent::PermissionDenied(PermissionViolation { is_publish: true, subject }));
        }
        Step::Error(text) => harness.apply(ConsoleEvent::Error(ErrorDialog { title: text.clone(), text })),
        Step::SentDeployment(kind, n, text) => sent_deployment_event(harness, kind, n, text),
        Step::Open => {
            harness.press(KeyCode::Esc);
            harness.press(KeyCode::Enter);
        }
        Step::History(kind, number) => history_reply(harness, kind, number),
        Step::Shell(error) => harness.apply(ConsoleEvent::Shell(error.map_or(Ok(()), Err))),
        Step::FullLog(text, stored_len) => full_log(harness, text, Some(stored_len)),
        Step::Lines(count) => full_log(harness, "web 建設 1\n".repeat(count), None),
        Step::Saved(text) => harness.apply(ConsoleEvent::Saved(Err(text))),
        Step::Frame => harness.apply(ConsoleEvent::Frame),
    }
}

/// Delivers a history, to the open host screen if there is one.
fn history_reply(harness: &mut Harness, kind: u8, number: u64) {
    let open = harness.app.screens.iter().find_map(Screen::as_host).map(|screen| screen.host.clone());
    let reply = match kind {
        0 => Ok(Reply::NoAnswer),
        1 => Ok(Reply::Unsupported),
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
            Ok(Reply::Ok(entries))
        }
    };
    harness.apply(ConsoleEvent::History(open.unwrap_or_else(|| name("host1")), reply));
}

/// Delivers the next piece of the open log.
fn full_log(harness: &mut Harness, text: String, stored_len: Option<u64>) {
    if let Some(Screen::Log(screen)) = harness.app.screens.last() {
        let (key, offset) = (screen.key.clone(), screen.text.received());
        harness.apply(ConsoleEvent::FullLog { key, event: LogEvent::Text { offset, text }, stored_len });
    }
}

/// Delivers an event of the last sent deployment, or of an unknown one.
fn sent_deployment_event(harness: &mut Harness, kind: u8, n: u8, text: String) {
    let last = harness.app.sent_deployments.back().map(|sent| sent.plan.id.clone());
    let id = last.unwrap_or_else(|| "unknown".parse().unwrap());
    let of_host = |host: &Name, result, report| HostResult {
        host: host.clone(),
        instance: None,
        result,
        last_seen: None,
        report,
    };
    let hosts = match kind {
        3 | 4 => {
            let result = [ResultKind::Completed, ResultKind::Silent][usize::from(kind % 2)];
            harness.app.table.listed().iter().map(|host| of_host(host, result, None)).collect()
        }
        _ => {
            let (host, report) = (name(&host(n)), build_failure(&host(n), id.as_str(), &text));
            vec![
                of_host(&host, ResultKind::Failed, Some(report.into())),
                of_host(&host, ResultKind::Failed, None),
            ]
        }
    };
    let event = match kind {
        0 => SentDeploymentEvent::Note(text),
        1 => SentDeploymentEvent::Failed(text),
        2 => SentDeploymentEvent::Resent(name(&host(n)), format!("d{}", n % 5).parse().unwrap(), text),
        _ => SentDeploymentEvent::Finished(DeploymentSummary::new(id.clone(), hosts)),
    };
    harness.apply(ConsoleEvent::SentDeployment(id, event));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_events_leave_a_console_that_can_be_drawn(steps in prop::collection::vec(step(), 1..80)) {
        let mut harness = Harness::fleet(80, 24, COLOUR);
        for step in steps {
            run_step(&mut harness, step);
        }
        let size = harness.app.size;
        let text = harness.text();
        prop_assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{:?}", text);
        prop_assert_eq!(text.lines().count(), if size.width == 0 { text.lines().count() } else { usize::from(size.height) });
        // The selected item of a host screen is visible, and drawing again changes nothing.
        if let Some(screen) = harness.app.screens.last().and_then(Screen::as_host) {
            let before = (screen.top, screen.selected.clone());
            harness.apply(ConsoleEvent::Frame);
            prop_assert_eq!((harness.host().top, harness.host().selected.clone()), before);
        }
        // What is kept up to date with each report is what a count of all hosts gives.
        for deployment in harness.app.fleet.deployments.values() {
            prop_assert_eq!(deployment.done, deployment.hosts.values().map(|jobs| host_share(jobs)).sum::<u64>());
            let reports = deployment.hosts.values().flatten().map(|job| &*job.report);
            prop_assert_eq!(deployment.failures.all(), failure_groups(reports));
        }
        // Every screen can be closed, and the selected row exists.
        let table = &harness.app.table;
        prop_assert!(table.selected().is_none() == table.rows().is_empty());
        prop_assert_eq!(table.selected(), table.rows().get(table.row()));
        match harness.app.screens.last() {
            Some(Screen::Deployments(screen)) => {
                prop_assert_eq!(screen.cursor.selected(), screen.cursor.rows().get(screen.cursor.row()));
            }
            Some(Screen::Deployment(screen)) => {
                prop_assert_eq!(screen.cursor.selected(), screen.cursor.rows().get(screen.cursor.row()));
            }
            _ => {}
        }
        harness.effects();
        harness.apply(ConsoleEvent::Key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)));
        prop_assert_eq!(harness.effects(), [homelab_deploy::tui::Effect::Quit]);
    }
}
