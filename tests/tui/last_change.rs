//! The state of a host is that of the last job that changed its system.

use crate::harness::{
    Harness, PLAIN, ago, answer, building, failed, name, noon, presence_message, report, report_message,
};
use crate::keys::keys;
use homelab_deploy::protocol::{Action, DeployReport, ErrorCode, Inbound, Presence, Status};
use homelab_deploy::tui::{ConsoleEvent, FeedKind};
use ratatui::layout::Size;
use std::sync::Arc;

/// The row of `web1`.
fn row(harness: &mut Harness) -> String {
    let text = harness.text();
    let row = text.lines().find(|line| line.starts_with('│') && line.contains(" web1 "));
    row.unwrap_or_else(|| panic!("no web1 in\n{text}")).to_owned()
}

/// A job of `web1` after the others.
fn job(id: &str, seq: u64, action: Action, status: Status) -> DeployReport {
    DeployReport { action: Some(action), seq: Some(seq), ..report("web1", id, status) }
}

fn cancelled(id: &str, seq: u64) -> DeployReport {
    let message = "stopped in build; nothing was changed".to_owned();
    let error = Some(ErrorCode::Cancelled);
    DeployReport { error, message, ..job(id, seq, Action::Switch, Status::Failed) }
}

fn presence(change: impl FnOnce(&mut Presence)) -> Inbound {
    let mut web1 = answer("web1", "test", "web");
    change(&mut web1);
    presence_message(web1)
}

/// `web1`, whose last switch failed.
fn harness() -> Harness {
    let mut harness = Harness::new(120, 40, PLAIN);
    harness.receive(ago(5), [presence(|_| {}), report_message(failed("web1", "d1"))]);
    harness.clock(noon());
    harness
}

#[test]
fn dry_runs_builds_and_cancelled_jobs_do_not_hide_a_failure() {
    let later = [
        job("d2", 2_000_000, Action::DryActivate, Status::Completed),
        job("d3", 2_000_001, Action::Build, Status::Completed),
        job("d4", 2_000_002, Action::Build, Status::Failed),
        cancelled("d5", 2_000_003),
    ];
    let mut harness = harness();
    for job in later {
        harness.receive(noon(), [report_message(job)]);
        assert!(row(&mut harness).contains("✗ rolled back"), "{}", harness.text());
        assert!(harness.text().contains("✗ 1 failed"), "{}", harness.text());
        harness.type_text("f");
        assert_eq!(harness.app.table.listed(), [name("web1")]);
        harness.type_text("f");
    }
    harness.receive(noon(), [report_message(job("d6", 2_000_004, Action::Switch, Status::Completed))]);
    assert!(row(&mut harness).contains("● idle"), "{}", harness.text());
}

#[test]
fn a_running_dry_run_does_not_hide_a_failure() {
    let running = |id, action, harness: &mut Harness| {
        let job = DeployReport { action: Some(action), seq: Some(2_000_000), ..building("web1", id) };
        harness.receive(noon(), [report_message(job)]);
        (row(harness), harness.text())
    };
    for action in [Action::DryActivate, Action::Build] {
        let mut harness = harness();
        harness.apply(ConsoleEvent::Resize(Size { width: 200, height: 60 }));
        let (row, text) = running("d2", action.clone(), &mut harness);
        assert!(row.contains("✗ rolled back") && text.contains("✗ 1 failed"), "{text}");
        assert!(row.contains(action.as_str()) && row.contains("━╸────"), "{text}");
    }
    // A job that changes the system may repair it.
    let (row, text) = running("d3", Action::Switch, &mut harness());
    assert!(row.contains("▶ build 12/40") && !text.contains("✗ 1 failed"), "{text}");
    // A host without a failure works.
    let mut harness = Harness::new(120, 40, PLAIN);
    harness.receive(ago(5), [presence(|_| {})]);
    assert!(
        running("d4", Action::DryActivate, &mut harness).0.contains("▶ build 12/40"),
        "{}",
        harness.text()
    );
}

#[test]
fn a_cancelled_job_is_not_a_failure() {
    let mut harness = Harness::new(200, 40, PLAIN);
    let deployed = job("d0", 1, Action::Switch, Status::Completed);
    harness.receive(ago(5), [presence(|_| {}), report_message(deployed)]);
    harness.receive(noon(), [report_message(cancelled("d1", 2))]);
    harness.clock(noon());
    let text = harness.text();
    assert!(row(&mut harness).contains("● idle") && row(&mut harness).contains("2 d"), "{text}");
    assert!(!text.contains("failed") && text.contains("cancelled: stopped in build"), "{text}");
    harness.type_text("/state:failed");
    harness.draw();
    assert!(harness.app.table.listed().is_empty(), "{}", harness.text());
    // It is counted separately, and is neither a cause of failures nor red in the events.
    keys(&mut harness, "^v");
    for shown in ["! 1 cancelled", "! cancelled"] {
        assert!(harness.text().contains(shown), "{}", harness.text());
    }
    assert!(!harness.text().contains("failed") && !harness.text().contains("web1: "), "{}", harness.text());
    assert_eq!(harness.app.feed.events().back().map(|event| event.kind), Some(FeedKind::Cancelled));
}

#[test]
fn the_listener_reports_the_last_change_to_a_console_that_starts_later() {
    let mut harness = Harness::new(120, 40, PLAIN);
    let dry = || Arc::new(job("d2", 2_000_000, Action::DryActivate, Status::Completed));
    let both = |web1: &mut Presence| {
        web1.job = Some(dry());
        web1.last_change = Some(Arc::new(failed("web1", "d1")));
    };
    harness.receive(noon(), [presence(both)]);
    harness.clock(noon());
    assert!(row(&mut harness).contains("✗ rolled back"), "{}", harness.text());
    // An older listener reports only the newest job, so the console keeps what it knows.
    harness.receive(noon(), [presence(|web1| web1.job = Some(dry()))]);
    assert!(row(&mut harness).contains("✗ rolled back"), "{}", harness.text());
}
