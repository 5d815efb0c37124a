//! Frames of the deployments screen and of one deployment, with 200 deployments of 500 failed hosts each.

use crate::frame::{app, processor_time};
use crate::{COLUMNS, ROWS, hosts, percentile};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use homelab_deploy::protocol::{DeployReport, Inbound, Status};
use homelab_deploy::tui::{App, ConsoleEvent, update, view};
use jiff::Timestamp;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use std::time::Duration;

const DEPLOYMENTS: usize = 200;
const HOSTS: usize = 500;
const FRAMES: usize = 300;
const BOUND: Duration = Duration::from_millis(5);

pub(crate) fn measure() -> bool {
    let now = Timestamp::now();
    let mut app = app(HOSTS, now);
    for deployment in 0..DEPLOYMENTS {
        let reports = (0..HOSTS).map(|host| Ok(Inbound::Report(Box::new(report(host, deployment)))));
        update(&mut app, ConsoleEvent::Messages(reports.collect(), now));
    }
    key(&mut app, KeyCode::Char('v'));
    let list = frames(&mut app, now, "the list");
    // The last deployment, which is finished.
    key(&mut app, KeyCode::End);
    key(&mut app, KeyCode::Enter);
    let one = frames(&mut app, now, "one");
    list && one
}

fn report(host: usize, deployment: usize) -> DeployReport {
    let mut report = hosts::report(host, 1, true);
    report.id = Some(format!("deployment-{deployment}").parse().unwrap());
    report.status = Status::Failed;
    report.message = format!("{} ended with exit status: 1 in build: 1 error", report.hostname);
    report.error = Some("build_failed".into());
    report.diagnostics = Some("making all in src\n".repeat(800));
    report
}

fn key(app: &mut App, code: KeyCode) {
    update(app, ConsoleEvent::Frame);
    update(app, ConsoleEvent::Key(KeyEvent::new(code, KeyModifiers::NONE)));
}

/// Before each frame, a key moves the selection and reports of a running deployment arrive.
fn frames(app: &mut App, now: Timestamp, what: &str) -> bool {
    let mut terminal = Terminal::new(TestBackend::new(COLUMNS, ROWS)).unwrap();
    let mut taken = Vec::new();
    for frame in 0..FRAMES {
        key(app, if frame % 100 < 60 { KeyCode::Down } else { KeyCode::Up });
        let reports = (0..80).map(|n| {
            let mut report = hosts::report((frame * 80 + n) % HOSTS, 100 + frame as u64, false);
            report.id = Some("running".parse().unwrap());
            Ok(Inbound::Report(Box::new(report)))
        });
        update(app, ConsoleEvent::Messages(reports.collect(), now));
        let start = processor_time();
        update(app, ConsoleEvent::Frame);
        terminal.draw(|frame| view(app, frame)).unwrap();
        taken.push(processor_time().saturating_sub(start));
    }
    taken.sort_unstable();
    let (median, late) = (percentile(&taken, 500), percentile(&taken, 990));
    println!(
        "deployments: 99 of 100 frames of {what} within {late:.2?} of processor time with {DEPLOYMENTS} of {HOSTS} \
         hosts, median {median:.2?}, bound {BOUND:?}"
    );
    late <= BOUND
}
