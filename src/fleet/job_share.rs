//! How much of a job is done, by the usual durations of its phases.

use super::describe;
use crate::protocol::{DeployReport, PhaseName, PhaseState};

/// All of a job, in thousandths.
pub const WHOLE_JOB: u64 = 1000;

/// The usual share of each phase in the duration of a deployment, in thousandths.
const fn weight(name: &PhaseName) -> u64 {
    match name {
        PhaseName::Build => 500,
        PhaseName::Activate => 150,
        PhaseName::Verify => 200,
        _ => 50,
    }
}

/// The part of a job that is done, in thousandths. Phases that are over count as a whole, and a build by its steps.
pub(super) fn job_share(report: &DeployReport) -> u64 {
    if report.status.is_final() {
        return WHOLE_JOB;
    }
    let running = report.phases.0.iter().rposition(|phase| phase.state == PhaseState::Running);
    let over = report.phases.0.iter().take(running.unwrap_or(0));
    let over: u64 = over.filter(|phase| phase.name.rank().is_some()).map(|phase| weight(&phase.name)).sum();
    let building = report.phases.running().is_some_and(|phase| phase.name == PhaseName::Build);
    let built = describe::build_counts(report).filter(|_| building);
    let part = built.map_or(0, |(done, expected)| {
        let share = u128::from(weight(&PhaseName::Build)) * u128::from(done) / u128::from(expected.max(1));
        u64::try_from(share).unwrap_or(0)
    });
    (over + part).min(WHOLE_JOB)
}
