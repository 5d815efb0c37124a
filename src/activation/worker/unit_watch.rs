//! Determines which units have newly failed: a pure fold of what systemd and `switch-to-configuration` report.

use super::Worker;
use crate::activation::ServiceState;
use crate::ordered::CollectOrdered;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;
use wildmatch::WildMatch;

/// How long the set of failed units must stay the same.
const STABLE_TIME: Duration = Duration::from_secs(5);
/// The limit of the extended stable time after a crash: the next start of the service must be seen, and how it ended.
const MAX_STABLE_TIME: Duration = Duration::from_secs(30);
/// How long settling may take; a unit that keeps changing must not delay the result forever.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(90);
/// How many restarts after a failure count as a crash loop.
const MIN_RESTARTS: u64 = 2;

/// Whether the failed units are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum UnitStatus {
    /// The failed units may still change.
    NotYet,
    /// systemd did not answer.
    Unknown,
    /// These units have newly failed; the list may be empty.
    Failed(Vec<String>),
}

/// The units of a host while they settle after an activation.
#[derive(Debug)]
pub(super) struct UnitWatch {
    /// Units that had failed or crashed repeatedly before.
    before: BTreeSet<String>,
    /// Globs of units whose failure does not count.
    ignored: Vec<String>,
    /// Units that systemd failed to start.
    refused: BTreeSet<String>,
    /// Units that failed to reload their new configuration; their state does not show it.
    not_reloaded: BTreeSet<String>,
    /// How many times each service had been restarted when the watch started.
    restarts: BTreeMap<String, u64>,
    started_at: Instant,
    /// Since when the failed units have been the same.
    since: Instant,
    /// How long the failed units must stay the same.
    stable_time: Duration,
    /// The units that count as failed; `None` while systemd does not answer.
    failed: Option<BTreeSet<String>>,
}

impl UnitWatch {
    /// Starts a watch for a worker, with the present state of the services.
    pub(super) fn new(worker: &Worker, services: BTreeMap<String, ServiceState>) -> Self {
        let now = Instant::now();
        let old = worker.record.previous.iter();
        Self {
            before: old
                .flat_map(|old| old.failed_units.iter().chain(&old.looping_units))
                .cloned()
                .collect_set(),
            ignored: worker.handover.ignore_units.clone(),
            refused: worker.refused_units.iter().cloned().collect_set(),
            not_reloaded: worker.not_reloaded_units.iter().cloned().collect_set(),
            restarts: services.into_iter().map(|(unit, state)| (unit, state.restarts)).collect_map(),
            started_at: now,
            since: now,
            stable_time: STABLE_TIME,
            failed: None,
        }
    }

    /// Units that systemd failed to start. They count as failed while they are inactive.
    pub(super) fn refused(&self) -> &BTreeSet<String> {
        &self.refused
    }

    /// Processes one sample of the units.
    pub(super) fn update(
        &mut self,
        failed: Option<BTreeSet<String>>,
        inactive: &BTreeSet<String>,
        services: &BTreeMap<String, ServiceState>,
        now: Instant,
    ) {
        let failed = failed.map(|failed| {
            let crashing = services.iter().filter(|(unit, state)| {
                let before = self.restarts.get(*unit).copied().unwrap_or(0);
                state.crashed || state.restarts >= before + MIN_RESTARTS
            });
            let all =
                failed.iter().chain(inactive).chain(crashing.map(|(unit, _)| unit)).chain(&self.not_reloaded);
            all.filter(|unit| !self.before.contains(*unit) && !self.is_ignored(unit)).cloned().collect_set()
        });
        if failed != self.failed {
            (self.failed, self.since) = (failed, now);
        }
        for unit in self.failed.iter().flatten() {
            if let Some(state) = services.get(unit).filter(|state| state.crashed) {
                self.stable_time =
                    self.stable_time.max((state.restart_delay + STABLE_TIME).min(MAX_STABLE_TIME));
            }
        }
    }

    /// Returns the newly failed units when they are certain.
    pub(super) fn status(&self, now: Instant) -> UnitStatus {
        let is_stable = self.failed.is_some() && now.duration_since(self.since) >= self.stable_time;
        if !is_stable && now.duration_since(self.started_at) < SETTLE_TIMEOUT {
            return UnitStatus::NotYet;
        }
        match &self.failed {
            Some(failed) => UnitStatus::Failed(failed.iter().cloned().collect()),
            None => UnitStatus::Unknown,
        }
    }

    fn is_ignored(&self, unit: &str) -> bool {
        self.ignored.iter().any(|pattern| WildMatch::new(pattern).matches(unit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct WatchFixture {
        watch: UnitWatch,
        started_at: Instant,
    }

    fn set(units: &[&str]) -> BTreeSet<String> {
        units.iter().map(|&unit| unit.to_owned()).collect()
    }

    impl WatchFixture {
        fn new() -> Self {
            let started_at = Instant::now();
            let watch = UnitWatch {
                before: set(&["chronic.service"]),
                ignored: vec!["backup-*".to_owned()],
                refused: set(&["refused.service"]),
                not_reloaded: BTreeSet::new(),
                restarts: BTreeMap::new(),
                started_at,
                since: started_at,
                stable_time: STABLE_TIME,
                failed: None,
            };
            Self { watch, started_at }
        }

        /// Adds a sample at a second, and returns the status then.
        fn at(&mut self, second: u64, failed: &[&str], crashed: bool, restarts: u64) -> UnitStatus {
            let now = self.started_at + Duration::from_secs(second);
            let state = ServiceState { restarts, crashed, restart_delay: Duration::from_secs(10) };
            let services = BTreeMap::from([("loop.service".to_owned(), state)]);
            self.watch.update(Some(set(failed)), &BTreeSet::new(), &services, now);
            self.watch.status(now)
        }
    }

    #[test]
    fn nothing_new_is_certain_after_five_seconds() {
        let mut fixture = WatchFixture::new();
        let failed = ["chronic.service", "backup-home.service"];
        for second in 0..5 {
            assert_eq!(fixture.at(second, &failed, false, 0), UnitStatus::NotYet);
        }
        assert_eq!(fixture.at(5, &failed, false, 0), UnitStatus::Failed(vec![]));
    }

    #[test]
    fn crash_loop_with_a_long_pause_counts() {
        let mut fixture = WatchFixture::new();
        for second in 0..15 {
            assert_eq!(fixture.at(second, &[], true, 0), UnitStatus::NotYet, "{second}");
        }
        assert_eq!(fixture.at(15, &[], true, 1), UnitStatus::Failed(vec!["loop.service".to_owned()]));
    }

    #[test]
    fn service_that_crashed_once_and_then_stays_up_is_healthy() {
        let mut fixture = WatchFixture::new();
        for second in 0..25 {
            assert_eq!(
                fixture.at(second, &[], second < 10, u64::from(second >= 10)),
                UnitStatus::NotYet,
                "{second}"
            );
        }
        assert_eq!(fixture.at(25, &[], false, 1), UnitStatus::Failed(vec![]));
    }

    #[test]
    fn service_that_runs_for_a_moment_between_crashes_counts() {
        let mut fixture = WatchFixture::new();
        let mut samples = (0..200).map(|second| fixture.at(second, &[], second % 11 != 10, second / 11));
        let ended = samples.find(|status| *status != UnitStatus::NotYet);
        assert_eq!(ended, Some(UnitStatus::Failed(vec!["loop.service".to_owned()])));
    }

    #[test]
    fn unit_that_systemd_refused_counts_while_it_is_inactive() {
        let mut fixture = WatchFixture::new();
        let now = fixture.started_at + Duration::from_secs(9);
        for second in [0, 9] {
            let at = fixture.started_at + Duration::from_secs(second);
            fixture.watch.update(Some(set(&[])), &set(&["refused.service"]), &BTreeMap::new(), at);
        }
        assert_eq!(fixture.watch.status(now), UnitStatus::Failed(vec!["refused.service".to_owned()]));
    }

    #[test]
    fn systemd_without_an_answer_times_out() {
        let mut fixture = WatchFixture::new();
        let late = fixture.started_at + SETTLE_TIMEOUT;
        fixture.watch.update(None, &BTreeSet::new(), &BTreeMap::new(), late);
        assert_eq!(fixture.watch.status(fixture.started_at + STABLE_TIME * 2), UnitStatus::NotYet);
        assert_eq!(fixture.watch.status(late), UnitStatus::Unknown);
    }
}
