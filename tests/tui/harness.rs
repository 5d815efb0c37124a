//! A fleet at a fixed time, and helpers that operate the console.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use homelab_deploy::client::{Inventory, Reply};
use homelab_deploy::protocol::{
    Action, DeployReport, ErrorCode, HistoryEntry, Id, Inbound, Name, PhaseName, PhaseState, Phases,
    Presence, Progress, Status, host_subject,
};
use homelab_deploy::tui::{
    App, ConnectionStatus, ConsoleEvent, Effect, HostScreen, Options, Screen, Sort, Theme, update, view,
};
use jiff::{SignedDuration, Timestamp};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::layout::Size;
use ratatui::style::{Color, Modifier};

pub(crate) const PLAIN: Theme = Theme::new(false, true);
pub(crate) const COLOUR: Theme = Theme::new(true, true);

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// The current time in the tests.
pub(crate) fn noon() -> Timestamp {
    "2026-11-21T12:31:07Z".parse().unwrap()
}

pub(crate) fn ago(seconds: i64) -> Timestamp {
    noon() - SignedDuration::from_secs(seconds)
}

pub(crate) fn answer(host: &str, tier: &str, role: &str) -> Presence {
    let (host, tier, role) = (name(host), name(tier), name(role));
    Presence {
        instance: Some(format!("instance-of-{host}").into()),
        revision: Some("main".into()),
        commit: Some("3f2a91c0d5b84e6f8a7c1d2e3f4a5b6c7d8e9f01".into()),
        generation: Some(140),
        os_version: Some("NixOS 26.05".into()),
        interval_s: Some(60),
        capabilities: vec![
            Action::Cancel,
            Action::Build,
            Action::Rollback,
            Action::Reboot,
            Action::Hold,
            Action::Release,
        ],
        ..Presence::new(host.clone(), tier.clone(), Some(role), vec![host_subject(&tier, &host)])
    }
}

pub(crate) fn report(host: &str, id: &str, status: Status) -> DeployReport {
    DeployReport {
        id: Some(Id::new(id).unwrap()),
        action: Some(Action::Switch),
        revision: Some("main".into()),
        commit: Some("b04c7de19f3a52886e0d4c1b7a9f6e5d4c3b2a10".into()),
        issuer: Some("alice@laptop".into()),
        instance: Some(format!("instance-of-{host}").into()),
        seq: Some(1_000_001),
        at: Some(ago(200_000)),
        elapsed_ms: Some(48_200),
        ..DeployReport::new(name(host), status, "switch done")
    }
}

/// A running build.
pub(crate) fn building(host: &str, id: &str) -> DeployReport {
    let mut report = report(host, id, Status::Running);
    report.phases = Phases::pending();
    report.phases.enter(&PhaseName::Prepare);
    report.phases.0[0].elapsed_ms = 1200;
    report.phases.enter(&PhaseName::Build);
    report.phases.0[1].elapsed_ms = 41_000;
    report.elapsed_ms = Some(42_200);
    report.progress = Some(Box::new(Progress {
        done: 12,
        expected: 40,
        running: 3,
        downloaded_bytes: 412 << 20,
        expected_bytes: 1126 << 20,
        activity: "building linux-6.12.9".to_owned(),
    }));
    report
}

/// A job that failed in verify and was rolled back.
pub(crate) fn failed(host: &str, id: &str) -> DeployReport {
    let mut report = report(host, id, Status::Failed);
    report.phases = Phases::pending();
    for phase in
        [PhaseName::Prepare, PhaseName::Build, PhaseName::Check, PhaseName::Activate, PhaseName::Verify]
    {
        report.phases.enter(&phase);
    }
    for phase in &mut report.phases.0[..5] {
        phase.elapsed_ms = 700;
    }
    report.phases.enter(&PhaseName::Rollback);
    report.phases.end(&PhaseState::Done);
    report.error = Some(ErrorCode::VerificationFailed);
    "the health check did not succeed within 60 s; rolled back to the previous system"
        .clone_into(&mut report.message);
    report.rolled_back = Some(true);
    report.failed_units = vec!["nginx.service".to_owned()];
    report
}

/// A completed job of `main`, this many hours ago.
pub(crate) fn history_entry(id: &str, action: Action, hours: i64, generation: Option<u64>) -> HistoryEntry {
    HistoryEntry {
        id: Id::new(id).unwrap(),
        at: ago(hours * 3600),
        action,
        status: Status::Completed,
        error: None,
        issuer: Some("alice@laptop".into()),
        key: None,
        revision: Some("main".into()),
        commit: Some("3f2a91c0d5b84e6f8a7c1d2e3f4a5b6c7d8e9f01".into()),
        generation,
        reason: None,
        elapsed_ms: 48_200,
        phases: Phases::default(),
        components: Vec::new(),
    }
}

/// The history of `web1`.
pub(crate) fn history() -> Vec<HistoryEntry> {
    let mut failed = history_entry("d1", Action::Switch, 3, None);
    (failed.status, failed.error) = (Status::Failed, Some(ErrorCode::VerificationFailed));
    failed.elapsed_ms = 187_000;
    let mut by_bob = history_entry("h3", Action::Switch, 50, Some(139));
    by_bob.issuer = Some("bob@a-workstation-with-a-long-name.example.org".into());
    let mut history_entry: Vec<_> = vec![
        failed,
        history_entry("h1", Action::Switch, 27, Some(140)),
        history_entry("h2", Action::DryActivate, 28, None),
        by_bob,
    ]
    .into_iter()
    .chain((4..12).map(|n| {
        history_entry(&format!("h{n}"), Action::Boot, n * 40, Some(142 - u64::try_from(n).unwrap()))
    }))
    .collect();
    history_entry.truncate(10);
    history_entry
}

/// A job with a failed build, with the message of a real host.
pub(crate) fn build_failure(host: &str, id: &str, package: &str) -> DeployReport {
    let mut report = report(host, id, Status::Failed);
    report.phases = Phases::pending();
    report.phases.enter(&PhaseName::Prepare);
    report.phases.enter(&PhaseName::Build);
    report.phases.end(&PhaseState::Failed);
    report.error = Some(ErrorCode::BuildFailed);
    report.message = format!(
        "\"{host}\" did not build: builder for '{package}' failed with exit code 2; its log ends: \
         make: *** [all] Error 2; look at the job's log"
    );
    report.diagnostics =
        Some((1..=30).map(|n| format!("{package}> line {n}")).collect::<Vec<_>>().join("\n"));
    report
}

/// Bob's deployment `d9` to `app1` to `app12`, with the reports of most hosts.
pub(crate) fn rollout(harness: &mut Harness) {
    let by_bob = |mut report: DeployReport| {
        report.issuer = Some("bob@desk".into());
        report.revision = Some("release/2026-11".into());
        report.at = Some(ago(95));
        report_message(report)
    };
    let host = |n: u8| format!("app{n}");
    harness.receive(ago(100), (1..=12).map(|n| presence_message(answer(&host(n), "test", "app"))));
    harness.receive(ago(95), (1..=5).map(|n| by_bob(build_failure(&host(n), "d9", "foo-1.2"))));
    let mut refused = report("app8", "d9", Status::Rejected);
    refused.error = Some(ErrorCode::Held);
    "the disk is being replaced".clone_into(&mut refused.message);
    harness.receive(ago(90), [by_bob(failed("app6", "d9")), by_bob(refused)]);
    harness.receive(ago(80), (9..=12).map(|n| by_bob(report(&host(n), "d9", Status::Completed))));
    harness.receive(ago(3), [by_bob(building("app7", "d9"))]);
    harness.clock(noon());
}

pub(crate) fn presence_message(answer: Presence) -> Inbound {
    Inbound::Presence(Box::new(answer))
}

pub(crate) fn report_message(report: DeployReport) -> Inbound {
    Inbound::Report(Box::new(report))
}

/// Compares a frame with two snapshots: its characters, and its styles. A change of a colour leaves the characters alone.
macro_rules! assert_frame {
    ($name:expr, $harness:expr) => {{
        let name: String = $name;
        insta::assert_snapshot!(name.as_str(), $harness.text());
        insta::assert_snapshot!(format!("{name}-styles"), crate::harness::styles(&$harness.draw()));
    }};
}
pub(crate) use assert_frame;

/// The style of each cell as one character, with trailing plain cells left out. A reversed cell has an upper-case letter.
pub(crate) fn styles(buffer: &Buffer) -> String {
    const NONE: Modifier = Modifier::empty();
    const BOLD_UNDERLINED: Modifier = Modifier::BOLD.union(Modifier::UNDERLINED);
    let width = usize::from(buffer.area.width);
    let rows = buffer.content().chunks(width);
    let letter = |cell: &ratatui::buffer::Cell| {
        assert_eq!(cell.bg, Color::Reset, "a background needs a letter");
        let letter = match (cell.fg, cell.modifier - Modifier::REVERSED) {
            (Color::Reset, NONE) => '.',
            (Color::Reset, Modifier::BOLD) => 'b',
            (Color::Reset, Modifier::DIM) => 'd',
            (Color::Reset, BOLD_UNDERLINED) => 'm',
            (Color::Reset, Modifier::UNDERLINED) => 'u',
            (Color::Green, NONE) => 'g',
            (Color::Cyan, NONE) => 'c',
            (Color::Magenta, NONE) => 'p',
            (Color::Blue, NONE) => 'l',
            (Color::Yellow, NONE) => 'y',
            (Color::Red, Modifier::BOLD) => 'r',
            // While the server does not answer, everything is dim.
            (_, modifier) if modifier.contains(Modifier::DIM) => 'd',
            other => panic!("the style {other:?} needs a letter"),
        };
        let reversed = cell.modifier.contains(Modifier::REVERSED);
        if reversed && letter == '.' {
            '#'
        } else if reversed {
            letter.to_ascii_uppercase()
        } else {
            letter
        }
    };
    rows.map(|row| row.iter().map(letter).collect::<String>().trim_end_matches('.').to_owned() + "\n")
        .collect()
}

/// A console, driven in the same way as by the event loop.
pub(crate) struct Harness {
    pub(crate) app: App,
    pub(crate) effects: Vec<Effect>,
    /// Why a revision does not exist when the console looks it up.
    pub(crate) missing_revision: Option<String>,
}

impl Harness {
    /// An empty console that is connected.
    pub(crate) fn new(width: u16, height: u16, theme: Theme) -> Self {
        let options = Options {
            branch: Some("main".to_owned()),
            confirm_tiers: vec![name("prod")],
            sort: Sort::Host,
            ..Options::new("nats://nats1:4222", "alice@laptop", theme)
        };
        let app = App::new(options, &Inventory::default(), Size { width, height }, noon());
        let mut harness = Self { app, effects: Vec::new(), missing_revision: None };
        harness.connect(ConnectionStatus { up: true, connects: 1, ..ConnectionStatus::default() });
        harness.answer(noon());
        harness
    }

    /// The server answers a ping.
    pub(crate) fn answer(&mut self, at: Timestamp) {
        self.apply(ConsoleEvent::RoundTrip(std::time::Duration::from_micros(1234), at));
    }

    /// The server answers all pings until this time.
    fn answer_until(&mut self, at: Timestamp) {
        let mut next = self.app.clock;
        while at.duration_since(next) > SignedDuration::ZERO {
            next = at.min(next + SignedDuration::from_secs(4));
            self.answer(next);
        }
    }

    /// A console with one host of each kind.
    pub(crate) fn fleet(width: u16, height: u16, theme: Theme) -> Self {
        let mut harness = Self::new(width, height, theme);
        let ns1 = answer("ns1", "prod", "dns");
        let mut gw1 = answer("gw1", "prod", "router");
        gw1.reboot_needed = Some(true);
        let mut db1 = answer("db1", "prod", "db");
        db1.held = Some("the disk is being replaced".to_owned());
        let mut base = Presence::new(name("old1"), name("test"), None, vec!["deploy.test.old1".to_owned()]);
        base.role = Some(name("legacy"));
        harness.receive(ago(700), [presence_message(answer("web10", "test", "web"))]);
        harness.receive(ago(250), [presence_message(answer("web9", "test", "web"))]);
        harness.receive(
            ago(4),
            [
                presence_message(ns1),
                presence_message(answer("ns2", "prod", "dns")),
                presence_message(answer("web1", "test", "web")),
                presence_message(gw1),
                presence_message(db1),
                presence_message(base),
                report_message(report("ns2", "d0", Status::Completed)),
                report_message(failed("web1", "d1")),
                report_message(building("ns1", "d2")),
            ],
        );
        harness.clock(noon());
        harness
    }

    pub(crate) fn apply(&mut self, event: ConsoleEvent) {
        for effect in update(&mut self.app, event) {
            if let Effect::CheckRevision(_, revision) = effect {
                let missing = self.missing_revision.clone();
                self.apply(ConsoleEvent::RevisionChecked(revision, missing));
            } else {
                self.effects.push(effect);
            }
        }
    }

    pub(crate) fn receive(&mut self, at: Timestamp, messages: impl IntoIterator<Item = Inbound>) {
        self.answer_until(at);
        self.apply(ConsoleEvent::Messages(messages.into_iter().map(Ok).collect(), at));
    }

    pub(crate) fn clock(&mut self, now: Timestamp) {
        self.answer_until(now);
        self.silent_clock(now);
    }

    /// The clock, without an answer of the server.
    pub(crate) fn silent_clock(&mut self, now: Timestamp) {
        self.apply(ConsoleEvent::Clock(now));
    }

    pub(crate) fn connect(&mut self, status: ConnectionStatus) {
        self.apply(ConsoleEvent::Connection(status));
    }

    pub(crate) fn press(&mut self, code: KeyCode) {
        self.apply(ConsoleEvent::Key(KeyEvent::new(code, KeyModifiers::NONE)));
    }

    /// Presses a key together with ctrl.
    pub(crate) fn press_ctrl(&mut self, c: char) {
        self.apply(ConsoleEvent::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL)));
    }

    /// Types characters one by one.
    pub(crate) fn type_text(&mut self, text: &str) {
        text.chars().for_each(|c| self.press(KeyCode::Char(c)));
    }

    /// The effects since the last call.
    pub(crate) fn effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// Draws a frame.
    pub(crate) fn draw(&mut self) -> Buffer {
        self.apply(ConsoleEvent::Frame);
        let Size { width, height } = self.app.size;
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| view(&self.app, frame)).unwrap();
        terminal.backend().buffer().clone()
    }

    /// The frame as text.
    pub(crate) fn text(&mut self) -> String {
        self.apply(ConsoleEvent::Frame);
        homelab_deploy::tui::render_text(&self.app)
    }

    /// Opens the screen of a host and delivers its history.
    pub(crate) fn open(&mut self, host: &str) {
        self.go_to(host);
        self.press(KeyCode::Enter);
        self.apply(ConsoleEvent::History(name(host), Ok(Reply::Ok(history()))));
        self.apply(ConsoleEvent::Frame);
    }

    /// The topmost host screen.
    pub(crate) fn host(&self) -> &HostScreen {
        self.app.screens.last().and_then(Screen::as_host).unwrap()
    }

    /// Selects a host.
    pub(crate) fn go_to(&mut self, host: &str) {
        self.apply(ConsoleEvent::Frame);
        self.press(KeyCode::Home);
        for _ in 0..self.app.table.rows().len() {
            if self.app.table.host() == Some(&name(host)) {
                return self.apply(ConsoleEvent::Frame);
            }
            self.press(KeyCode::Down);
        }
        panic!("{host} is not shown");
    }
}
