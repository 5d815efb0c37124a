//! How long the last jobs of a host took, in total and per phase: for estimates, sparklines and outliers.

use super::describe;
use crate::protocol::{Action, DeployReport, HistoryEntry, Phase, PhaseName, PhaseState, Phases, Status};

/// The number of past jobs that count.
pub const COUNTED_JOBS: usize = 10;
/// A job that took more than this many times the median is an outlier.
const OUTLIER_FACTOR: u64 = 3;
/// The fewest jobs that make a median meaningful for outliers.
const MIN_JOBS: usize = 3;

/// The durations of the last completed jobs of a host, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobDurations {
    jobs: Vec<JobDuration>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct JobDuration {
    action: Action,
    completed: bool,
    elapsed_ms: u64,
    phases: Phases,
}

impl JobDurations {
    /// The durations of a history, which is newest first. Jobs that deploy nothing are left out.
    pub fn of_history(entries: &[HistoryEntry]) -> Self {
        let deploys = |entry: &&HistoryEntry| entry.action.needs_revision() && entry.elapsed_ms > 0;
        let mut jobs: Vec<_> = entries
            .iter()
            .filter(deploys)
            .take(COUNTED_JOBS)
            .map(|entry| JobDuration {
                action: entry.action.clone(),
                completed: entry.status == Status::Completed,
                elapsed_ms: entry.elapsed_ms,
                phases: entry.phases.clone(),
            })
            .collect();
        jobs.reverse();
        Self { jobs }
    }

    /// Whether no job is known.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// The total durations in milliseconds, oldest first.
    pub fn totals(&self) -> Vec<u64> {
        self.jobs.iter().map(|job| job.elapsed_ms).collect()
    }

    /// The durations of a phase in milliseconds, oldest first. Jobs that did not run it are left out.
    pub fn of_phase(&self, name: &PhaseName) -> Vec<u64> {
        self.jobs.iter().filter_map(|job| ran(&job.phases, name)).collect()
    }

    /// The expected remaining time of a running job in milliseconds, `since` milliseconds after its report: the medians
    /// of completed jobs with the same action, per phase if the host recorded phases. `None` if nothing is known.
    pub fn remaining_ms(&self, report: &DeployReport, since: u64) -> Option<u64> {
        let same = |job: &&JobDuration| job.completed && report.action.as_ref() == Some(&job.action);
        let jobs: Vec<_> = self.jobs.iter().filter(same).collect();
        let recorded: Vec<_> = jobs.iter().filter(|job| !job.phases.is_empty()).collect();
        let typical = |name: &PhaseName| {
            median(&recorded.iter().filter_map(|job| ran(&job.phases, name)).collect::<Vec<_>>()).unwrap_or(0)
        };
        if recorded.is_empty() || report.phases.is_empty() {
            let total = median(&jobs.iter().map(|job| job.elapsed_ms).collect::<Vec<_>>())?;
            return Some(total.saturating_sub(report.elapsed_ms?.saturating_add(since)));
        }
        let remaining = |phase: &Phase| match phase.state {
            PhaseState::Pending => typical(&phase.name),
            PhaseState::Running => {
                let elapsed = phase.elapsed_ms.saturating_add(since);
                // The progress of the build says more than earlier builds.
                let estimate = describe::remaining_ms(report, since);
                estimate.unwrap_or_else(|| typical(&phase.name).saturating_sub(elapsed))
            }
            _ => 0,
        };
        Some(report.phases.0.iter().map(remaining).fold(0, u64::saturating_add))
    }
}

/// How long a phase ran, if it did.
fn ran(phases: &Phases, name: &PhaseName) -> Option<u64> {
    let is_over = |phase: &&Phase| matches!(phase.state, PhaseState::Done | PhaseState::Failed);
    phases.0.iter().find(|phase| phase.name == *name).filter(is_over).map(|phase| phase.elapsed_ms)
}

/// The median; `None` of nothing.
pub fn median(values: &[u64]) -> Option<u64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied()
}

/// Whether a value is more than three times the median of at least three values.
pub fn is_outlier(value: u64, values: &[u64]) -> bool {
    let typical = median(values).filter(|_| values.len() >= MIN_JOBS);
    typical.is_some_and(|typical| typical > 0 && value > typical.saturating_mul(OUTLIER_FACTOR))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_value_over_three_times_the_median_of_three_is_an_outlier() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[5]), Some(5));
        assert_eq!(median(&[9, 1, 5]), Some(5));
        for (value, values, expected) in [
            (31, &[10, 10, 31][..], true),
            (30, &[10, 10, 30], false),
            (100, &[10, 100], false),
            (1, &[0, 0, 1], false),
        ] {
            assert_eq!(is_outlier(value, values), expected, "{value} {values:?}");
        }
    }
}
