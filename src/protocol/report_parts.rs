//! The parts of a report: phases, progress and changes.

use super::{PhaseName, PhaseState, wire};
use serde::{Deserialize, Serialize};

/// One phase of a job and how it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phase {
    /// Which phase.
    pub name: PhaseName,
    /// How it stands.
    pub state: PhaseState,
    /// How long it has run, in milliseconds; 0 where it never began.
    #[serde(default, deserialize_with = "wire::null_as_default")]
    pub elapsed_ms: u64,
}

/// The phases of a job in their order. Moves only forward, so that a report never contradicts an earlier one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Phases(#[serde(deserialize_with = "wire::list")] pub Vec<Phase>);

impl Phases {
    /// The whole pipeline, nothing begun.
    pub fn pending() -> Self {
        let phase =
            |name: &PhaseName| Phase { name: name.clone(), state: PhaseState::Pending, elapsed_ms: 0 };
        Self(PhaseName::PIPELINE.iter().map(phase).collect())
    }

    /// Whether nothing is known, as with a base host.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The phase that runs.
    pub fn running(&self) -> Option<&Phase> {
        self.0.iter().find(|phase| phase.state == PhaseState::Running)
    }

    /// The phase that failed.
    pub fn failed(&self) -> Option<&Phase> {
        self.0.iter().find(|phase| phase.state == PhaseState::Failed)
    }

    /// Enters a phase: the one that ran is done, those passed over are skipped. Entering an earlier phase, or the
    /// one that runs, changes nothing and gives `false`.
    pub fn enter(&mut self, name: &PhaseName) -> bool {
        let Some(at) = self.0.iter().position(|phase| phase.name == *name) else {
            // `rollback` stands in the list only once it has begun.
            if *name != PhaseName::Rollback {
                return false;
            }
            self.end(&PhaseState::Failed);
            self.0.push(Phase { name: name.clone(), state: PhaseState::Running, elapsed_ms: 0 });
            return true;
        };
        if self.0[at..].iter().any(|phase| phase.state != PhaseState::Pending) {
            return false;
        }
        for phase in &mut self.0[..at] {
            match phase.state {
                PhaseState::Running => phase.state = PhaseState::Done,
                PhaseState::Pending => phase.state = PhaseState::Skipped,
                _ => {}
            }
        }
        self.0[at].state = PhaseState::Running;
        true
    }

    /// Ends the running phase in `state`; what never began is skipped.
    pub fn end(&mut self, state: &PhaseState) {
        for phase in &mut self.0 {
            match phase.state {
                PhaseState::Running => phase.state = state.clone(),
                PhaseState::Pending => phase.state = PhaseState::Skipped,
                _ => {}
            }
        }
    }
}

/// How far a build is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Progress {
    /// Builds that are done.
    #[serde(default, deserialize_with = "wire::null_as_default")]
    pub done: u64,
    /// Builds that are expected in all.
    #[serde(default, deserialize_with = "wire::null_as_default")]
    pub expected: u64,
    /// Builds that run.
    #[serde(default, deserialize_with = "wire::null_as_default")]
    pub running: u64,
    /// Bytes fetched so far.
    #[serde(default, deserialize_with = "wire::null_as_default")]
    pub downloaded_bytes: u64,
    /// Bytes to fetch in all.
    #[serde(default, deserialize_with = "wire::null_as_default")]
    pub expected_bytes: u64,
    /// What is being done, in words.
    #[serde(default, deserialize_with = "wire::null_as_default")]
    pub activity: String,
}

/// A package whose version the deployment changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageChange {
    /// The package.
    pub name: String,
    /// The version before; absent where it is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The version after; absent where it goes away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// What a deployment changes on a host.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Changes {
    /// Units that stop.
    #[serde(default, deserialize_with = "wire::list", skip_serializing_if = "Vec::is_empty")]
    pub units_stopped: Vec<String>,
    /// Units that start.
    #[serde(default, deserialize_with = "wire::list", skip_serializing_if = "Vec::is_empty")]
    pub units_started: Vec<String>,
    /// Units that restart.
    #[serde(default, deserialize_with = "wire::list", skip_serializing_if = "Vec::is_empty")]
    pub units_restarted: Vec<String>,
    /// Packages whose version changes.
    #[serde(default, deserialize_with = "wire::list", skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<PackageChange>,
    /// By how many bytes the closure grows, negative where it shrinks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<i64>,
}
