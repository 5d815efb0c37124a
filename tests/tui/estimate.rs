//! How long a build goes on yet.

use crate::stage::building;
use homelab_deploy::fleet::{estimate, words};
use homelab_deploy::protocol::{DeployReport, PhaseName, PhaseState, Progress};

/// A build that has run for `elapsed` milliseconds, with these builds and bytes done of those expected.
fn build(elapsed: u64, builds: (u64, u64), bytes: (u64, u64)) -> DeployReport {
    let mut report = building("web1", "d1");
    report.phases.0[1].elapsed_ms = elapsed;
    report.progress = Some(Progress {
        done: builds.0,
        expected: builds.1,
        downloaded_bytes: bytes.0,
        expected_bytes: bytes.1,
        ..Progress::default()
    });
    report
}

#[test]
fn what_is_left_follows_from_what_is_done() {
    // Elapsed, builds, bytes, the time since then, and what is left.
    for (elapsed, builds, bytes, since, left) in [
        (40_000, (10, 40), (0, 0), 0, Some(120_000)),
        (40_000, (10, 40), (1, 2), 0, Some(120_000)),
        (40_000, (10, 40), (0, 0), 20_000, Some(100_000)),
        // It has taken longer than that.
        (40_000, (10, 40), (0, 0), 120_000, None),
        (40_000, (10, 40), (0, 0), u64::MAX, None),
        // Nothing is done yet, or all is, or it has only just begun.
        (40_000, (0, 40), (0, 0), 0, None),
        (40_000, (0, 40), (1, 2), 0, None),
        (40_000, (40, 40), (0, 0), 0, None),
        (40_000, (41, 40), (0, 0), 0, None),
        (999, (10, 40), (0, 0), 0, None),
        (0, (10, 40), (0, 0), 0, None),
        (40_000, (0, 0), (0, 0), 0, None),
        // Only fetching is left.
        (10_000, (0, 0), (256, 1024), 0, Some(30_000)),
        (10_000, (7, 7), (256, 1024), 0, Some(30_000)),
        (10_000, (0, 0), (0, 1024), 0, None),
        (10_000, (0, 0), (1024, 1024), 0, None),
        // Nonsense.
        (u64::MAX, (1, u64::MAX), (0, 0), 0, None),
        (u64::MAX, (u64::MAX - 1, u64::MAX), (0, 0), 0, Some(1)),
        (360_000_000, (1, 2), (0, 0), 0, Some(360_000_000)),
        (360_000_001, (1, 2), (0, 0), 0, None),
    ] {
        let report = build(elapsed, builds, bytes);
        assert_eq!(estimate::left(&report, since), left, "{elapsed} {builds:?} {bytes:?} {since}");
    }
}

#[test]
fn only_a_build_that_runs_is_estimated() {
    let mut report = build(40_000, (10, 40), (0, 0));
    report.progress = None;
    assert_eq!(estimate::left(&report, 0), None);
    let mut report = build(40_000, (10, 40), (0, 0));
    report.phases.enter(&PhaseName::Activate);
    assert_eq!(estimate::left(&report, 0), None);
    let mut report = build(40_000, (10, 40), (0, 0));
    report.phases.end(&PhaseState::Done);
    assert_eq!(estimate::left(&report, 0), None);
    let mut report = build(40_000, (10, 40), (0, 0));
    report.phases.0[1].name = PhaseName::from("compile");
    assert_eq!(
        estimate::left(&report, 0),
        None,
        "what a newer peer calls its phase is not known to be a build"
    );
}

#[test]
fn it_is_told_about_as_exactly_as_it_is_known() {
    for (milliseconds, told) in [
        (1, "about 0:05 left"),
        (5000, "about 0:05 left"),
        (5001, "about 0:10 left"),
        (59_000, "about 1:00 left"),
        (71_000, "about 1:20 left"),
        (80_000, "about 1:20 left"),
        (3_599_000, "about 1:00:00 left"),
    ] {
        assert_eq!(words::left(milliseconds), told);
    }
}
