//! The lines by which a rebuild program tells how far it is: `@homelab-deploy {"phase":"build","done":3}`.

use super::Step;
use crate::protocol::{PhaseName, Progress};
use serde::Deserialize;
use serde_json::json;

const MARK: &str = "@homelab-deploy ";

/// What one such line tells. Every part is optional, unknown ones are ignored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct PhaseLine {
    /// The phase that begins.
    pub phase: Option<PhaseName>,
    /// Builds that are done.
    pub done: Option<u64>,
    /// Builds that are expected in all.
    pub expected: Option<u64>,
    /// What is being done, in words.
    pub activity: Option<String>,
    /// The commit that is deployed.
    pub commit: Option<String>,
    /// The store path of the new system.
    pub system: Option<String>,
    /// The generation of the system profile.
    pub generation: Option<u64>,
    /// A sentence for the report.
    pub message: Option<String>,
}

impl PhaseLine {
    /// Reads a line of output; `None` where it is no such line, or a malformed one, which then is ordinary output.
    pub fn parse(line: &str) -> Option<Self> {
        serde_json::from_str(line.strip_prefix(MARK)?).ok()
    }

    /// Whether it tells nothing but progress.
    pub(super) fn is_only_progress(&self) -> bool {
        let parts = [
            self.phase.is_some(),
            self.commit.is_some(),
            self.system.is_some(),
            self.generation.is_some(),
            self.message.is_some(),
        ];
        !parts.contains(&true)
    }

    /// Whether a phase may follow another: they only go on.
    pub(super) fn goes_on(from: &PhaseName, to: &PhaseName) -> bool {
        *from != PhaseName::Rollback && (*to == PhaseName::Rollback || to.rank() > from.rank())
    }

    /// The line that begins a phase and says something for the report.
    pub fn write(phase: &PhaseName, message: &str) -> String {
        format!("{MARK}{}", json!({"phase": phase, "message": message}))
    }

    /// The steps it tells, the phase first.
    pub fn steps(self) -> Vec<Step> {
        let progress =
            (self.done.is_some() || self.expected.is_some() || self.activity.is_some()).then(|| {
                let (done, expected) = (self.done.unwrap_or(0), self.expected.unwrap_or(0));
                Step::Progress(Progress {
                    done,
                    expected,
                    activity: self.activity.unwrap_or_default(),
                    ..Progress::default()
                })
            });
        let steps = [
            self.phase
                .filter(|phase| phase.rank().is_some() || *phase == PhaseName::Rollback)
                .map(Step::Enter),
            progress,
            self.commit.map(Step::Commit),
            self.system.map(Step::System),
            self.generation.map(Step::Generation),
            self.message.map(Step::Note),
        ];
        steps.into_iter().flatten().collect()
    }
}
