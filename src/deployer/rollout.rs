//! The wave engine: a pure decision about what to send next. Time and messages are its driver's.

use super::WaveKind;
use serde::Serialize;
use std::fmt;
use std::ops::Range;
use std::time::Duration;

/// One wave of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wave {
    /// What it is.
    pub kind: WaveKind,
    /// Its requests, as a part of the plan's.
    pub parcels: Range<usize>,
}

/// A plan's waves, and how far they have come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollout {
    waves: Vec<Wave>,
    max_failures: usize,
    pause: Duration,
    sent: usize,
    aborted: bool,
}

/// How one request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Not all of its hosts have their verdict.
    Open,
    /// Nothing speaks against going on.
    Passed,
    /// One of its hosts failed, refused, or has vanished.
    Failed,
}

/// What to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Wait for verdicts.
    Wait,
    /// Send the next wave, after a pause if it is not the first.
    Send {
        /// How long to wait before.
        after: Duration,
    },
    /// Every wave has its verdicts.
    Done,
    /// Send nothing more, though there are waves left.
    Stop(Stopped),
}

/// Why no further wave begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "why")]
pub enum Stopped {
    /// Whoever was to try it for all did not complete.
    Canary,
    /// More hosts failed than may.
    Failures {
        /// How many have failed.
        failed: usize,
        /// How many may.
        allowed: usize,
    },
    /// The operator wanted it so.
    Aborted,
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Canary => f.write_str("the canary did not complete"),
            Self::Failures { failed, allowed } => {
                let hosts = if *failed == 1 { "host" } else { "hosts" };
                let allowed = if *allowed == 0 { "none".to_owned() } else { allowed.to_string() };
                write!(f, "{failed} {hosts} failed, and {allowed} may")
            }
            Self::Aborted => f.write_str("it was aborted"),
        }
    }
}

impl Rollout {
    /// Everything at once.
    pub(super) fn at_once(parcels: usize) -> Self {
        let all = Wave { kind: WaveKind::Batch, parcels: 0..parcels };
        Self::new(vec![all], 0, Duration::ZERO)
    }

    /// These waves, which follow each other without gap; no further one begins once more than `max_failures` have failed.
    pub fn new(waves: Vec<Wave>, max_failures: usize, pause: Duration) -> Self {
        Self { waves, max_failures, pause, sent: 0, aborted: false }
    }

    /// Leaves requests out, and waves that have none any more.
    pub(super) fn retain(&mut self, stays: impl Fn(usize) -> bool) {
        let mut from = 0;
        for wave in &mut self.waves {
            let left = wave.parcels.clone().filter(|parcel| stays(*parcel)).count();
            wave.parcels = from..from + left;
            from += left;
        }
        self.waves.retain(|wave| !wave.parcels.is_empty());
    }

    /// What to do, as the requests stand that were sent.
    pub fn step(&self, part: impl Fn(usize) -> Part) -> Step {
        let sent = self.sent_parcels();
        let mut failed = 0;
        for parcel in 0..sent {
            match part(parcel) {
                Part::Open => return Step::Wait,
                Part::Passed => {}
                Part::Failed => failed += 1,
            }
        }
        if self.sent == self.waves.len() {
            return Step::Done;
        }
        let canaries = self.waves.first().filter(|wave| wave.kind == WaveKind::Canary && self.sent > 0);
        let canary_failed =
            canaries.is_some_and(|wave| wave.parcels.clone().any(|at| part(at) == Part::Failed));
        if self.aborted {
            Step::Stop(Stopped::Aborted)
        } else if canary_failed {
            Step::Stop(Stopped::Canary)
        } else if failed > self.max_failures {
            Step::Stop(Stopped::Failures { failed, allowed: self.max_failures })
        } else {
            Step::Send { after: if self.sent == 0 { Duration::ZERO } else { self.pause } }
        }
    }

    /// Notes that the next wave is sent; gives its requests.
    pub fn send(&mut self) -> Range<usize> {
        let parcels = self.waves.get(self.sent).map_or(0..0, |wave| wave.parcels.clone());
        self.sent = self.waves.len().min(self.sent + 1);
        parcels
    }

    /// From now on no wave begins.
    pub fn abort(&mut self) {
        self.aborted = true;
    }

    /// Whether no wave begins any more.
    pub fn is_aborted(&self) -> bool {
        self.aborted
    }

    /// All waves.
    pub fn waves(&self) -> &[Wave] {
        &self.waves
    }

    /// How many waves were sent.
    pub fn sent(&self) -> usize {
        self.sent
    }

    /// How many requests were sent.
    pub fn sent_parcels(&self) -> usize {
        self.waves[..self.sent].last().map_or(0, |wave| wave.parcels.end)
    }

    /// The requests of the wave that was sent last.
    pub fn present(&self) -> Range<usize> {
        self.waves[..self.sent].last().map_or(0..0, |wave| wave.parcels.clone())
    }
}
