//! A notification: what a target receives, independent of its kind.

use crate::protocol::{DeployReport, Id, Name, Status};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantNames};

/// How a job ended, the least severe first. A cancelled job has not failed.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    IntoStaticStr,
    EnumString,
    VariantNames,
)]
#[strum(serialize_all = "lowercase")]
#[serde(rename_all = "lowercase")]
pub enum NotifyResult {
    /// The job completed.
    Completed,
    /// An operator cancelled the job.
    Cancelled,
    /// The host rejected the request.
    Rejected,
    /// The host stopped reporting before it had a result.
    Unknown,
    /// The job failed.
    Failed,
}

impl NotifyResult {
    /// The result of a job, as far as its last report has one.
    pub fn of(report: &DeployReport) -> Self {
        match report.status {
            Status::Completed => Self::Completed,
            Status::Failed if report.is_cancelled() => Self::Cancelled,
            Status::Failed => Self::Failed,
            Status::Rejected => Self::Rejected,
            _ => Self::Unknown,
        }
    }

    /// The word in configuration, JSON and messages.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// What a notification is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum NotificationEvent {
    /// The first host of a deployment failed.
    Failure,
    /// A deployment has ended.
    End,
    /// A host is offline.
    Offline,
    /// A host that was offline is back.
    Online,
    /// Units of a host have failed.
    UnitsFailed,
    /// Units of a host no longer fail.
    UnitsRecovered,
    /// Several notifications in one, because the target has a limit.
    Several,
    /// A test of the target.
    Test,
}

/// The result of one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotifiedHost {
    /// The name of the host.
    pub host: Name,
    /// Its tier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<Name>,
    /// Its role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Name>,
    /// How its job ended.
    pub result: NotifyResult,
    /// The error code of a job that failed or was rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Why it failed or was rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How long the job ran, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elapsed_ms: Option<u64>,
    /// Whether the host was rolled back to its previous system.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rolled_back: bool,
}

/// The deployment that a notification is about, limited to the hosts that the target is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotifiedDeployment {
    /// The id of the deployment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Id>,
    /// The requested action.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub action: String,
    /// The requested revision.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub revision: String,
    /// The commit.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub commit: String,
    /// Who sent the request, as the request says.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub issuer: String,
    /// The number of hosts whose job completed.
    pub completed: usize,
    /// The number of hosts whose job failed.
    pub failed: usize,
    /// The number of hosts whose job was cancelled.
    pub cancelled: usize,
    /// The number of hosts that rejected the request.
    pub rejected: usize,
    /// The number of hosts without a result.
    pub unknown: usize,
    /// The hosts, those that failed first; at most 200.
    #[serde(default)]
    pub hosts: Vec<NotifiedHost>,
}

impl NotifiedDeployment {
    /// The number of hosts.
    pub fn host_count(&self) -> usize {
        self.completed + self.failed + self.cancelled + self.rejected + self.unknown
    }
}

/// A notification for one target. It is also the body that a webhook receives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// The id, which stays the same when it is posted again.
    pub id: String,
    /// What it is about.
    pub event: NotificationEvent,
    /// When it was made.
    pub at: Timestamp,
    /// The title, on one line.
    pub title: String,
    /// The text.
    pub message: String,
    /// The most severe result; absent if it is not about jobs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<NotifyResult>,
    /// The host that it is about, if there is only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Name>,
    /// The deployment that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<NotifiedDeployment>,
    /// The number of notifications that it replaces; absent if it replaces none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
}

impl Notification {
    /// A notification with a new id.
    pub fn new(event: NotificationEvent, title: String, message: String, now: Timestamp) -> Self {
        let id = uuid::Uuid::now_v7().to_string();
        Self { id, event, at: now, title, message, result: None, host: None, deployment: None, count: None }
    }

    /// A notification that shows whether a target works.
    pub fn test(target: &Name, now: Timestamp) -> Self {
        let title = "homelab-deploy: test".to_owned();
        let message = format!("The target {target} receives notifications.");
        Self::new(NotificationEvent::Test, title, message, now)
    }

    /// The number of notifications that it contains.
    pub fn weight(&self) -> u64 {
        self.count.unwrap_or(1)
    }
}
