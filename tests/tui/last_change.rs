//! The state of a host is that of the last job that changed its system.

use crate::harness::{
    Harness, PLAIN, ago, answer, failed, name, noon, presence_message, report, report_message,
};
use homelab_deploy::protocol::{Action, DeployReport, ErrorCode, Inbound, Presence, Status};
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
