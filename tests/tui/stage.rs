//! A fleet at a fixed moment, and hands to work the console with.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use homelab_deploy::deployer::{Roster, Told};
use homelab_deploy::protocol::{
    Action, DeployReport, ErrorCode, HistoryEntry, HostAnswer, Id, Inbound, Name, PhaseName, PhaseState,
    Phases, Progress, Status, of_host,
};
use homelab_deploy::tui::{App, Effect, Event, HostScreen, LinkState, Options, Screen, Theme, update, view};
use jiff::{SignedDuration, Timestamp};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::layout::Size;

pub(crate) const PLAIN: Theme = Theme { colour: false, unicode: true };
pub(crate) const COLOUR: Theme = Theme { colour: true, unicode: true };

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// Half past noon on a day in November.
pub(crate) fn noon() -> Timestamp {
    "2026-11-21T12:31:07Z".parse().unwrap()
}

pub(crate) fn ago(seconds: i64) -> Timestamp {
    noon() - SignedDuration::from_secs(seconds)
}

pub(crate) fn answer(host: &str, tier: &str, role: &str) -> HostAnswer {
    let (host, tier, role) = (name(host), name(tier), name(role));
    HostAnswer {
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
        ..HostAnswer::new(host.clone(), tier.clone(), Some(role), vec![of_host(&tier, &host)])
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

/// A job that builds.
pub(crate) fn building(host: &str, id: &str) -> DeployReport {
    let mut report = report(host, id, Status::Running);
    report.phases = Phases::pending();
    report.phases.enter(&PhaseName::Prepare);
    report.phases.0[0].elapsed_ms = 1200;
    report.phases.enter(&PhaseName::Build);
    report.phases.0[1].elapsed_ms = 41_000;
    report.elapsed_ms = Some(42_200);
    report.progress = Some(Progress {
        done: 12,
        expected: 40,
        running: 3,
        downloaded_bytes: 412 << 20,
        expected_bytes: 1126 << 20,
        activity: "building linux-6.12.9".to_owned(),
    });
    report
}

/// A job that failed in verify and went back.
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

/// A past job that completed as main, this many hours ago.
pub(crate) fn past(id: &str, action: Action, hours: i64, generation: Option<u64>) -> HistoryEntry {
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
    }
}

/// What `web1` tells of its past.
pub(crate) fn history() -> Vec<HistoryEntry> {
    let mut failed = past("d1", Action::Switch, 3, None);
    (failed.status, failed.error) = (Status::Failed, Some(ErrorCode::VerificationFailed));
    failed.elapsed_ms = 187_000;
    let mut by_bob = past("h3", Action::Switch, 50, Some(139));
    by_bob.issuer = Some("bob@a-workstation-with-a-long-name.example.org".into());
    let mut past: Vec<_> = vec![
        failed,
        past("h1", Action::Switch, 27, Some(140)),
        past("h2", Action::DryActivate, 28, None),
        by_bob,
    ]
    .into_iter()
    .chain(
        (4..12).map(|n| past(&format!("h{n}"), Action::Boot, n * 40, Some(142 - u64::try_from(n).unwrap()))),
    )
    .collect();
    past.truncate(10);
    past
}

/// A job whose build failed, in the words of a host.
pub(crate) fn unbuilt(host: &str, id: &str, package: &str) -> DeployReport {
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

/// What is left of a deployment of bob's to `app1` to `app12`: `d9`.
pub(crate) fn rollout(stage: &mut Stage) {
    let by_bob = |mut report: DeployReport| {
        report.issuer = Some("bob@desk".into());
        report.revision = Some("release/2026-11".into());
        report.at = Some(ago(95));
        said(report)
    };
    let host = |n: u8| format!("app{n}");
    stage.hear(ago(100), (1..=12).map(|n| present(answer(&host(n), "test", "app"))));
    stage.hear(ago(95), (1..=5).map(|n| by_bob(unbuilt(&host(n), "d9", "foo-1.2"))));
    let mut refused = report("app8", "d9", Status::Rejected);
    refused.error = Some(ErrorCode::Held);
    "the disk is being replaced".clone_into(&mut refused.message);
    stage.hear(ago(90), [by_bob(failed("app6", "d9")), by_bob(refused)]);
    stage.hear(ago(80), (9..=12).map(|n| by_bob(report(&host(n), "d9", Status::Completed))));
    stage.hear(ago(3), [by_bob(building("app7", "d9"))]);
    stage.clock(noon());
}

pub(crate) fn present(answer: HostAnswer) -> Inbound {
    Inbound::Presence(Box::new(answer))
}

pub(crate) fn said(report: DeployReport) -> Inbound {
    Inbound::Report(Box::new(report))
}

/// A console, worked as the loop works it.
pub(crate) struct Stage {
    pub(crate) app: App,
    pub(crate) effects: Vec<Effect>,
}

impl Stage {
    /// An empty console that is connected.
    pub(crate) fn new(width: u16, height: u16, theme: Theme) -> Self {
        let options = Options {
            branch: Some("main".to_owned()),
            confirm_tiers: vec![name("prod")],
            ..Options::new("nats://nats1:4222", "alice@laptop", theme)
        };
        let app = App::new(options, &Roster::default(), Size { width, height }, noon());
        let mut stage = Self { app, effects: Vec::new() };
        stage.link(LinkState { up: true, connects: 1, ..LinkState::default() });
        stage.tell(Event::RoundTrip(std::time::Duration::from_micros(1234)));
        stage
    }

    /// A fleet with a host of each kind.
    pub(crate) fn fleet(width: u16, height: u16, theme: Theme) -> Self {
        let mut stage = Self::new(width, height, theme);
        let ns1 = answer("ns1", "prod", "dns");
        let mut gw1 = answer("gw1", "prod", "router");
        gw1.reboot_needed = Some(true);
        let mut db1 = answer("db1", "prod", "db");
        db1.held = Some("the disk is being replaced".to_owned());
        let mut base = HostAnswer::new(name("old1"), name("test"), None, vec!["deploy.test.old1".to_owned()]);
        base.role = Some(name("legacy"));
        stage.hear(ago(700), [present(answer("web10", "test", "web"))]);
        stage.hear(ago(250), [present(answer("web9", "test", "web"))]);
        stage.hear(
            ago(4),
            [
                present(ns1),
                present(answer("ns2", "prod", "dns")),
                present(answer("web1", "test", "web")),
                present(gw1),
                present(db1),
                present(base),
                said(report("ns2", "d0", Status::Completed)),
                said(failed("web1", "d1")),
                said(building("ns1", "d2")),
            ],
        );
        stage.clock(noon());
        stage
    }

    pub(crate) fn tell(&mut self, event: Event) {
        self.effects.extend(update(&mut self.app, event));
    }

    pub(crate) fn hear(&mut self, at: Timestamp, messages: impl IntoIterator<Item = Inbound>) {
        self.tell(Event::Messages(messages.into_iter().map(Ok).collect(), at));
    }

    pub(crate) fn clock(&mut self, now: Timestamp) {
        self.tell(Event::Clock(now));
    }

    pub(crate) fn link(&mut self, link: LinkState) {
        self.tell(Event::Link(link));
    }

    pub(crate) fn press(&mut self, code: KeyCode) {
        self.tell(Event::Key(KeyEvent::new(code, KeyModifiers::NONE)));
    }

    /// Types characters one by one.
    pub(crate) fn types(&mut self, text: &str) {
        text.chars().for_each(|c| self.press(KeyCode::Char(c)));
    }

    /// What has been asked of the outside since this was last called.
    pub(crate) fn effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// Draws a frame.
    pub(crate) fn draw(&mut self) -> Buffer {
        self.tell(Event::Frame);
        let Size { width, height } = self.app.size;
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| view(&self.app, frame)).unwrap();
        terminal.backend().buffer().clone()
    }

    /// The frame as text.
    pub(crate) fn text(&mut self) -> String {
        self.tell(Event::Frame);
        homelab_deploy::tui::picture(&self.app)
    }

    /// Opens the screen of a host, which tells of its past.
    pub(crate) fn open(&mut self, host: &str) {
        self.go_to(host);
        self.press(KeyCode::Enter);
        self.tell(Event::History(name(host), Ok(Told::Answer(history()))));
        self.tell(Event::Frame);
    }

    /// The screen of the host in front.
    pub(crate) fn host(&self) -> &HostScreen {
        self.app.screens.last().and_then(Screen::as_host).unwrap()
    }

    /// Selects a host.
    pub(crate) fn go_to(&mut self, host: &str) {
        self.tell(Event::Frame);
        self.press(KeyCode::Home);
        for _ in 0..self.app.table.rows().len() {
            if self.app.table.host() == Some(&name(host)) {
                return self.tell(Event::Frame);
            }
            self.types("j");
        }
        panic!("{host} is not shown");
    }
}
