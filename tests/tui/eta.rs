//! The estimate of the remaining build time.

use crate::harness::building;
use homelab_deploy::fleet::describe;
use homelab_deploy::protocol::{DeployReport, PhaseName, PhaseState, Progress};
use homelab_deploy::text::format;

/// A build that has run for `elapsed` milliseconds, with the done and expected numbers of builds and bytes.
fn build(elapsed: u64, builds: (u64, u64), bytes: (u64, u64)) -> DeployReport {
    let mut report = building("web1", "d1");
    report.phases.0[1].elapsed_ms = elapsed;
    report.progress = Some(Box::new(Progress {
        done: builds.0,
        expected: builds.1,
        downloaded_bytes: bytes.0,
        expected_bytes: bytes.1,
        ..Progress::default()
    }));
    report
}

#[test]
fn the_estimate_follows_from_progress() {
    // Elapsed time, builds, bytes, age of the report, and the estimate.
    for (elapsed, builds, bytes, since, left) in [
        (40_000, (10, 40), (0, 0), 0, Some(120_000)),
        (40_000, (10, 40), (1, 2), 0, Some(120_000)),
        (40_000, (10, 40), (0, 0), 20_000, Some(100_000)),
        // The build has taken longer than estimated.
        (40_000, (10, 40), (0, 0), 120_000, None),
        (40_000, (10, 40), (0, 0), u64::MAX, None),
        // Nothing is done, everything is done, or the build has just started.
        (40_000, (0, 40), (0, 0), 0, None),
        (40_000, (0, 40), (1, 2), 0, None),
        (40_000, (40, 40), (0, 0), 0, None),
        (40_000, (41, 40), (0, 0), 0, None),
        (999, (10, 40), (0, 0), 0, None),
        (0, (10, 40), (0, 0), 0, None),
        (40_000, (0, 0), (0, 0), 0, None),
        // Only downloads remain.
        (10_000, (0, 0), (256, 1024), 0, Some(30_000)),
        (10_000, (7, 7), (256, 1024), 0, Some(30_000)),
        (10_000, (0, 0), (0, 1024), 0, None),
        (10_000, (0, 0), (1024, 1024), 0, None),
        // Impossible numbers.
        (u64::MAX, (1, u64::MAX), (0, 0), 0, None),
        (u64::MAX, (u64::MAX - 1, u64::MAX), (0, 0), 0, Some(1)),
        (360_000_000, (1, 2), (0, 0), 0, Some(360_000_000)),
        (360_000_001, (1, 2), (0, 0), 0, None),
    ] {
        let report = build(elapsed, builds, bytes);
        assert_eq!(describe::remaining_ms(&report, since), left, "{elapsed} {builds:?} {bytes:?} {since}");
    }
}

#[test]
fn only_a_running_build_has_an_estimate() {
    let mut report = build(40_000, (10, 40), (0, 0));
    report.progress = None;
    assert_eq!(describe::remaining_ms(&report, 0), None);
    let mut report = build(40_000, (10, 40), (0, 0));
    report.phases.enter(&PhaseName::Activate);
    assert_eq!(describe::remaining_ms(&report, 0), None);
    let mut report = build(40_000, (10, 40), (0, 0));
    report.phases.end(&PhaseState::Done);
    assert_eq!(describe::remaining_ms(&report, 0), None);
    let mut report = build(40_000, (10, 40), (0, 0));
    report.phases.0[1].name = PhaseName::from("compile");
    assert_eq!(
        describe::remaining_ms(&report, 0),
        None,
        "an unknown phase of a newer peer may not be a build"
    );
}

#[test]
fn an_estimate_is_as_precise_as_known() {
    for (milliseconds, expected) in [
        (1, "about 0:05 left"),
        (5000, "about 0:05 left"),
        (5001, "about 0:10 left"),
        (59_000, "about 1:00 left"),
        (71_000, "about 1:20 left"),
        (80_000, "about 1:20 left"),
        (3_599_000, "about 1:00:00 left"),
    ] {
        assert_eq!(format::remaining(milliseconds), expected);
    }
}
