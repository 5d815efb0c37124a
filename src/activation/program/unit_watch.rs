//! Which units have newly failed: a pure fold of what systemd and `switch-to-configuration` say.

use super::Program;
use crate::activation::ServiceState;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;
use wildmatch::WildMatch;

/// How long the failed units must stay the same.
const CALM: Duration = Duration::from_secs(5);
/// How much longer that is for a service that crashed: its next start must be seen, and how it went. At most so long.
const MAX_CALM: Duration = Duration::from_secs(30);
/// How long settling may take: a unit that flaps must not hold a result up for ever.
const SETTLING: Duration = Duration::from_secs(90);
/// How many restarts after a failure count as one that lasts.
const FLAPS: u64 = 2;

/// What is known of the failed units by now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Settled {
    /// They may still change.
    NotYet,
    /// systemd has never answered.
    Unknown,
    /// These have newly failed, maybe none.
    Failed(Vec<String>),
}

/// The units of a host while they settle after an activation.
#[derive(Debug)]
pub(super) struct UnitWatch {
    /// Units that had failed or crashed again and again before.
    before: BTreeSet<String>,
    /// Globs of units whose failure does not count.
    ignored: Vec<String>,
    /// Units that systemd refused to start.
    refused: BTreeSet<String>,
    /// Units that were to take up their new configuration and did not: their state does not show it.
    not_reloaded: BTreeSet<String>,
    /// How often each service had been restarted when the watch began.
    restarts: BTreeMap<String, u64>,
    begun: Instant,
    /// Since when the failed units have been the same.
    since: Instant,
    /// How long they have to stay the same.
    calm: Duration,
    /// The units that count as failed; unknown as long as systemd does not answer.
    failed: Option<BTreeSet<String>>,
}

impl Program {
    /// A watch that begins with these services.
    pub(super) fn unit_watch(&self, services: BTreeMap<String, ServiceState>) -> UnitWatch {
        let now = Instant::now();
        let old = self.record.old.iter();
        UnitWatch {
            before: old.flat_map(|old| old.failed_units.iter().chain(&old.looping_units)).cloned().collect(),
            ignored: self.orders.ignore_units.clone(),
            refused: self.refused_units.iter().cloned().collect(),
            not_reloaded: self.not_reloaded_units.iter().cloned().collect(),
            restarts: services.into_iter().map(|(unit, state)| (unit, state.restarts)).collect(),
            begun: now,
            since: now,
            calm: CALM,
            failed: None,
        }
    }
}

impl UnitWatch {
    /// Units that systemd refused to start. They count as failed as long as they are inactive.
    pub(super) fn refused(&self) -> &BTreeSet<String> {
        &self.refused
    }

    /// Takes one look into account.
    pub(super) fn look(
        &mut self,
        failed: Option<BTreeSet<String>>,
        inactive: &BTreeSet<String>,
        services: &BTreeMap<String, ServiceState>,
        now: Instant,
    ) {
        let failed = failed.map(|failed| {
            let crashing = services.iter().filter(|(unit, state)| {
                let before = self.restarts.get(*unit).copied().unwrap_or(0);
                state.crashed || state.restarts >= before + FLAPS
            });
            let all =
                failed.iter().chain(inactive).chain(crashing.map(|(unit, _)| unit)).chain(&self.not_reloaded);
            all.filter(|unit| !self.before.contains(*unit) && !self.is_ignored(unit)).cloned().collect()
        });
        if failed != self.failed {
            (self.failed, self.since) = (failed, now);
        }
        for unit in self.failed.iter().flatten() {
            if let Some(state) = services.get(unit).filter(|state| state.crashed) {
                self.calm = self.calm.max((state.restart_delay + CALM).min(MAX_CALM));
            }
        }
    }

    /// The units that have newly failed, once that is certain.
    pub(super) fn settled(&self, now: Instant) -> Settled {
        let is_calm = self.failed.is_some() && now.duration_since(self.since) >= self.calm;
        if !is_calm && now.duration_since(self.begun) < SETTLING {
            return Settled::NotYet;
        }
        match &self.failed {
            Some(failed) => Settled::Failed(failed.iter().cloned().collect()),
            None => Settled::Unknown,
        }
    }

    fn is_ignored(&self, unit: &str) -> bool {
        self.ignored.iter().any(|pattern| WildMatch::new(pattern).matches(unit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Trial {
        watch: UnitWatch,
        begun: Instant,
    }

    fn set(units: &[&str]) -> BTreeSet<String> {
        units.iter().map(|&unit| unit.to_owned()).collect()
    }

    impl Trial {
        fn new() -> Self {
            let begun = Instant::now();
            let watch = UnitWatch {
                before: set(&["chronic.service"]),
                ignored: vec!["backup-*".to_owned()],
                refused: set(&["refused.service"]),
                not_reloaded: BTreeSet::new(),
                restarts: BTreeMap::new(),
                begun,
                since: begun,
                calm: CALM,
                failed: None,
            };
            Self { watch, begun }
        }

        /// A look at a second, and the result if there is one by then.
        fn at(&mut self, second: u64, failed: &[&str], crashed: bool, restarts: u64) -> Settled {
            let now = self.begun + Duration::from_secs(second);
            let state = ServiceState { restarts, crashed, restart_delay: Duration::from_secs(10) };
            let services = BTreeMap::from([("loop.service".to_owned(), state)]);
            self.watch.look(Some(set(failed)), &BTreeSet::new(), &services, now);
            self.watch.settled(now)
        }
    }

    #[test]
    fn nothing_new_is_certain_after_five_seconds() {
        let mut trial = Trial::new();
        let failed = ["chronic.service", "backup-home.service"];
        for second in 0..5 {
            assert_eq!(trial.at(second, &failed, false, 0), Settled::NotYet);
        }
        assert_eq!(trial.at(5, &failed, false, 0), Settled::Failed(vec![]));
    }

    #[test]
    fn crash_loop_with_a_long_pause_is_waited_for_and_counts() {
        let mut trial = Trial::new();
        for second in 0..15 {
            assert_eq!(trial.at(second, &[], true, 0), Settled::NotYet, "{second}");
        }
        assert_eq!(trial.at(15, &[], true, 1), Settled::Failed(vec!["loop.service".to_owned()]));
    }

    #[test]
    fn service_that_crashed_once_and_then_stays_up_is_well() {
        let mut trial = Trial::new();
        for second in 0..25 {
            assert_eq!(
                trial.at(second, &[], second < 10, u64::from(second >= 10)),
                Settled::NotYet,
                "{second}"
            );
        }
        assert_eq!(trial.at(25, &[], false, 1), Settled::Failed(vec![]));
    }

    #[test]
    fn service_that_runs_for_a_moment_between_crashes_counts() {
        let mut trial = Trial::new();
        let mut looks = (0..200).map(|second| trial.at(second, &[], second % 11 != 10, second / 11));
        let ended = looks.find(|settled| *settled != Settled::NotYet);
        assert_eq!(ended, Some(Settled::Failed(vec!["loop.service".to_owned()])));
    }

    #[test]
    fn unit_that_systemd_refused_counts_as_long_as_it_is_inactive() {
        let mut trial = Trial::new();
        let now = trial.begun + Duration::from_secs(9);
        for second in [0, 9] {
            let at = trial.begun + Duration::from_secs(second);
            trial.watch.look(Some(set(&[])), &set(&["refused.service"]), &BTreeMap::new(), at);
        }
        assert_eq!(trial.watch.settled(now), Settled::Failed(vec!["refused.service".to_owned()]));
    }

    #[test]
    fn silent_systemd_is_given_up() {
        let mut trial = Trial::new();
        let late = trial.begun + SETTLING;
        trial.watch.look(None, &BTreeSet::new(), &BTreeMap::new(), late);
        assert_eq!(trial.watch.settled(trial.begun + CALM * 2), Settled::NotYet);
        assert_eq!(trial.watch.settled(late), Settled::Unknown);
    }
}
