//! The phases of a job.

use super::codec;
use super::open_enum::open_enum;
use serde::{Deserialize, Serialize};

open_enum! {
    /// A phase of a job.
    PhaseName {
        /// Check the preconditions, resolve the revision, and record the running system.
        Prepare = "prepare",
        /// Build the closure.
        Build = "build",
        /// Run the checks of the new system, which decide whether it may be activated.
        Check = "check",
        /// Activate the new system.
        Activate = "activate",
        /// Verify that the host is healthy and still reachable.
        Verify = "verify",
        /// Make it the boot default.
        Persist = "persist",
        /// Return to the previous system.
        Rollback = "rollback",
    }
}

impl PhaseName {
    /// The phases of a successful deployment, in order.
    pub const PIPELINE: [Self; 6] =
        [Self::Prepare, Self::Build, Self::Check, Self::Activate, Self::Verify, Self::Persist];

    /// The position in the pipeline; `None` for `rollback` and unknown phases.
    pub fn rank(&self) -> Option<usize> {
        Self::PIPELINE.iter().position(|phase| phase == self)
    }
}

open_enum! {
    /// The state of a phase.
    PhaseState {
        /// The phase has not started.
        Pending = "pending",
        /// The phase is running.
        Running = "running",
        /// The phase succeeded.
        Done = "done",
        /// The phase failed.
        Failed = "failed",
        /// The phase was not needed, or was not reached.
        Skipped = "skipped",
    }
}

/// A phase of a job, with its state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phase {
    /// The name of the phase.
    pub name: PhaseName,
    /// The state of the phase.
    pub state: PhaseState,
    /// How long the phase has run, in milliseconds; 0 if it has not started.
    #[serde(default, deserialize_with = "codec::null_as_default")]
    pub elapsed_ms: u64,
}

/// The phases of a job, in order. They only move forward, so that a report never contradicts an earlier one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Phases(#[serde(deserialize_with = "codec::list")] pub Vec<Phase>);

impl Phases {
    /// The complete pipeline, with every phase pending.
    pub fn pending() -> Self {
        let phase =
            |name: &PhaseName| Phase { name: name.clone(), state: PhaseState::Pending, elapsed_ms: 0 };
        Self(PhaseName::PIPELINE.iter().map(phase).collect())
    }

    /// Whether no phases are known, as in reports of a base host.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The running phase, if any.
    pub fn running(&self) -> Option<&Phase> {
        self.0.iter().find(|phase| phase.state == PhaseState::Running)
    }

    /// The failed phase, if any.
    pub fn failed(&self) -> Option<&Phase> {
        self.0.iter().find(|phase| phase.state == PhaseState::Failed)
    }

    /// Enters a phase. The running phase becomes done, and pending phases before the new one are skipped. Returns
    /// `false`, without any change, if the phase is running already or is before the running one.
    pub fn enter(&mut self, name: &PhaseName) -> bool {
        let Some(at) = self.0.iter().position(|phase| phase.name == *name) else {
            // `rollback` is only added to the list when it starts.
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

    /// Ends the running phase with `state`; pending phases are skipped.
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
