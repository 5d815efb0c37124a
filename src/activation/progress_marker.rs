//! Lines with which a rebuild program reports its progress: `@homelab-deploy {"phase":"build","done":3}`.

use super::JobEvent;
use crate::protocol::{PhaseName, Progress};
use serde::Deserialize;
use serde_json::json;

const PREFIX: &str = "@homelab-deploy ";

/// The content of such a line. Every field is optional, and unknown fields are ignored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ProgressMarker {
    /// The phase that starts.
    pub phase: Option<PhaseName>,
    /// Number of finished builds.
    pub done: Option<u64>,
    /// Number of all builds that are expected.
    pub expected: Option<u64>,
    /// A short description of the current work.
    pub activity: Option<String>,
    /// The commit that is deployed, as a full hash.
    pub commit: Option<String>,
    /// The store path of the new system.
    pub system: Option<String>,
    /// The generation of the system profile.
    pub generation: Option<u64>,
    /// A sentence for the message of the report.
    pub message: Option<String>,
}

impl ProgressMarker {
    /// Parses a line of output. Any other line, including a malformed marker, is ordinary output and returns `None`.
    pub fn parse(line: &str) -> Option<Self> {
        serde_json::from_str(line.strip_prefix(PREFIX)?).ok()
    }

    /// Whether the marker holds nothing but progress.
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

    /// Whether a phase may follow another one: phases never go backwards.
    pub(super) fn may_follow(from: &PhaseName, to: &PhaseName) -> bool {
        *from != PhaseName::Rollback && (*to == PhaseName::Rollback || to.rank() > from.rank())
    }

    /// Formats a line that starts a phase and sets the message of the report.
    pub fn write(phase: &PhaseName, message: &str) -> String {
        format!("{PREFIX}{}", json!({"phase": phase, "message": message}))
    }

    /// Converts the marker to events, the phase first.
    pub fn events(self) -> Vec<JobEvent> {
        let progress =
            (self.done.is_some() || self.expected.is_some() || self.activity.is_some()).then(|| {
                let (done, expected) = (self.done.unwrap_or(0), self.expected.unwrap_or(0));
                JobEvent::Progress(Progress {
                    done,
                    expected,
                    activity: self.activity.unwrap_or_default(),
                    ..Progress::default()
                })
            });
        let events = [
            self.phase
                .filter(|phase| phase.rank().is_some() || *phase == PhaseName::Rollback)
                .map(JobEvent::PhaseStarted),
            progress,
            self.commit.map(JobEvent::Commit),
            self.system.map(JobEvent::System),
            self.generation.map(JobEvent::Generation),
            self.message.map(JobEvent::Note),
        ];
        events.into_iter().flatten().collect()
    }
}
