//! How a deployment ended, host by host.

use super::{LeftOut, Stopped};
use crate::protocol::{DeployReport, Id, Name, Status};
use jiff::Timestamp;
use serde::Serialize;
use std::sync::Arc;

/// What became of one host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Done.
    Completed,
    /// It began and failed.
    Failed,
    /// It refused.
    Rejected,
    /// It was still at work, or has fallen silent at work; nobody knows how it ends.
    Unknown,
    /// It never answered.
    Silent,
}

/// One host's part of an outcome.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HostResult {
    /// The host.
    pub host: Name,
    /// Distinguishes two hosts with the same name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// What became of it.
    pub verdict: Verdict,
    /// When it was last heard of, by our clock.
    pub seen: Option<Timestamp>,
    /// Its last report.
    pub report: Option<Arc<DeployReport>>,
}

/// A host of a group that nothing was sent to, because it is not what is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HostLeftOut {
    /// The host.
    pub host: Name,
    /// Why, in words.
    pub reason: String,
}

impl HostLeftOut {
    pub(super) fn new(host: &Name, reason: &LeftOut) -> Self {
        Self { host: host.clone(), reason: reason.to_string() }
    }
}

/// How a deployment ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// The deployment.
    pub id: Id,
    /// Each host that was sent to, by name.
    pub hosts: Vec<HostResult>,
    /// Hosts that nothing was sent to, for the waves stopped before them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub untouched: Vec<Name>,
    /// Why the waves stopped, where they did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<Stopped>,
    /// Hosts that nothing was sent to, for the builder has not built them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unbuilt: Vec<Name>,
    /// Hosts that nothing was sent to, because they are not what is known of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<HostLeftOut>,
}

impl Verdict {
    /// The verdict that a report gives.
    pub(super) fn of(report: &DeployReport) -> Self {
        match report.status {
            Status::Completed => Self::Completed,
            Status::Failed => Self::Failed,
            Status::Rejected => Self::Rejected,
            _ => Self::Unknown,
        }
    }

    /// The exit code of all of these: the first that applies of 1 failed, 4 out of time, 3 silent or nobody, 0.
    pub(super) fn exit_code(verdicts: impl Iterator<Item = Self>) -> u8 {
        let verdicts: Vec<_> = verdicts.collect();
        let any = |wanted: &[Self]| verdicts.iter().any(|verdict| wanted.contains(verdict));
        if any(&[Self::Failed, Self::Rejected]) {
            1
        } else if any(&[Self::Unknown]) {
            4
        } else if any(&[Self::Silent]) || verdicts.is_empty() {
            3
        } else {
            0
        }
    }

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Rejected => "rejected",
            Self::Unknown => "unknown",
            Self::Silent => "silent",
        }
    }
}

impl Outcome {
    /// These hosts, and nobody was left out.
    pub fn new(id: Id, hosts: Vec<HostResult>) -> Self {
        Self { id, hosts, untouched: Vec::new(), stopped: None, unbuilt: Vec::new(), left_out: Vec::new() }
    }

    /// The exit code: the first that applies of 1 failed, 4 out of time, 3 silent, 0.
    pub fn exit_code(&self) -> u8 {
        // What was not built has failed, whatever became of the others.
        let unbuilt = self.unbuilt.iter().map(|_| Verdict::Failed);
        let left_out = self.left_out.iter().map(|_| Verdict::Rejected);
        Verdict::exit_code(self.hosts.iter().map(|host| host.verdict).chain(unbuilt).chain(left_out))
    }
}
