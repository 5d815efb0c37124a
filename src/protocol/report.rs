//! Deploy reports: the complete state of a host's job, so that a late subscriber only needs one message.

use super::codec::{self, WireError};
use super::open_enum::open_enum;
use super::{Action, Components, ErrorCode, Id, InternedStr, MAX_ENCODED, Name, Phases};
use crate::text::{fitting_prefix, fitting_suffix};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The maximum size of the message, in encoded bytes.
const MAX_MESSAGE_TEXT: usize = 4 * 1024;
/// The maximum size of the diagnostics, in encoded bytes.
const MAX_DIAGNOSTICS: usize = 16 * 1024;

/// The text in the message of a job that the worker rolled back.
const ROLLED_BACK: &str = "rolled back to the previous system";

/// A report of a job. `hostname`, `status`, `error` and `message` are the base format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployReport {
    /// The host that sends the report.
    pub hostname: Name,
    /// The state of the job.
    pub status: Status,
    /// Why the job failed or was rejected; absent otherwise.
    #[serde(default, deserialize_with = "codec::empty_as_none")]
    pub error: Option<ErrorCode>,
    /// A sentence for people.
    #[serde(default, deserialize_with = "codec::null_as_default")]
    pub message: String,
    /// The id of the deployment. A base host sends none; it is then the last token of the subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Id>,
    /// The tier of the host; absent from base hosts.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "codec::empty_as_none")]
    pub tier: Option<Name>,
    /// The role of the host; absent if it has none.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "codec::empty_as_none")]
    pub role: Option<Name>,
    /// The requested action; absent from base hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// The requested revision, if the action has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<InternedStr>,
    /// The name that the issuer gave in the request; not verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<InternedStr>,
    /// A random id of the installation, which distinguishes two hosts with the same name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<InternedStr>,
    /// The sequence number of the report, across restarts of the host. The highest one is current, except that a final
    /// report is never replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// When the report was created, by the host's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// How long the job has run, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elapsed_ms: Option<u64>,
    /// The interval between the reports of a running job, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat_s: Option<u64>,
    /// The commit that is deployed; absent until it is resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<InternedStr>,
    /// The store path of the new system; absent until it is built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<InternedStr>,
    /// The generation of the system profile; absent until it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// The phases of the job, in order; empty from base hosts.
    #[serde(default, deserialize_with = "codec::null_as_default", skip_serializing_if = "Phases::is_empty")]
    pub phases: Phases,
    /// The components that the job handles, in its sequence; empty from hosts that deploy complete systems.
    #[serde(
        default,
        deserialize_with = "codec::null_as_default",
        skip_serializing_if = "Components::is_empty"
    )]
    pub components: Components,
    /// The progress of the build; absent outside the build. Boxed, because most jobs that are kept have ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Box<Progress>>,
    /// Whether the host was rolled back to the previous system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolled_back: Option<bool>,
    /// Whether parts of the new system need a reboot to become active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reboot_needed: Option<bool>,
    /// The changes that the deployment makes. Boxed, because most reports have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<Box<Changes>>,
    /// The units that failed and had not failed before the deployment.
    #[serde(default, deserialize_with = "codec::list", skip_serializing_if = "Vec::is_empty")]
    pub failed_units: Vec<String>,
    /// The id of the running job, with the error `already_running`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running_job: Option<Id>,
    /// A nonce, if only another client can confirm that this host is reachable. A client that follows the job sends the
    /// nonce back over a new connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<InternedStr>,
    /// The line of the diagnostics that explains the failure best. Presence messages have it instead of the diagnostics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// The last output and the journal of the failed units; only present after a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diagnostics: Option<String>,
}

impl DeployReport {
    /// Creates a report with only the base fields.
    pub fn new(hostname: Name, status: Status, message: impl Into<String>) -> Self {
        Self {
            hostname,
            status,
            error: None,
            message: message.into(),
            id: None,
            tier: None,
            role: None,
            action: None,
            revision: None,
            issuer: None,
            instance: None,
            seq: None,
            at: None,
            elapsed_ms: None,
            heartbeat_s: None,
            commit: None,
            system: None,
            generation: None,
            phases: Phases::default(),
            components: Components::default(),
            progress: None,
            rolled_back: None,
            reboot_needed: None,
            changes: None,
            failed_units: Vec::new(),
            running_job: None,
            confirm: None,
            cause: None,
            diagnostics: None,
        }
    }

    /// Parses a report.
    pub fn parse(payload: &[u8]) -> Result<Self, WireError> {
        codec::from_bytes(payload)
    }

    /// Encodes the report as JSON, in less than [`MAX_ENCODED`] bytes. The message and the diagnostics are always
    /// limited to their share. Other long strings and lists are truncated if necessary, but never the result.
    pub fn encode(&self) -> Vec<u8> {
        if self.has_short_texts() {
            let bytes = codec::to_bytes(self);
            return if bytes.len() < MAX_ENCODED { bytes } else { codec::to_bytes(&self.truncated()) };
        }
        self.with_short_texts().encode()
    }

    /// A short version of the report, without diagnostics and changes, for a server that only accepts small messages.
    #[must_use]
    pub fn brief(&self) -> Self {
        let mut report = self.truncated();
        report.message.truncate(fitting_prefix(&self.message, 1024).len());
        (report.diagnostics, report.changes) = (None, None);
        truncate_list(&mut report.failed_units, 512);
        // More than a deployment has.
        report.phases.0.truncate(8);
        report.components.truncate(1024, 64);
        report
    }

    /// Whether an operator cancelled the job.
    pub fn is_cancelled(&self) -> bool {
        self.status == Status::Failed && self.error == Some(ErrorCode::Cancelled)
    }

    /// Whether the job decides the state of its host: it has ended, its action changes the system, and it was neither
    /// cancelled nor rejected.
    pub fn is_change(&self) -> bool {
        matches!(self.status, Status::Completed | Status::Failed)
            && !self.is_cancelled()
            && self.changes_system()
    }

    /// Whether the action of the job changes the system; assumed if it is unknown.
    pub fn changes_system(&self) -> bool {
        self.action.as_ref().is_none_or(Action::changes_system)
    }

    /// A note that the host was rolled back, unless the message already has it.
    pub fn rollback_note(&self) -> Option<&'static str> {
        (self.rolled_back == Some(true) && !self.message.contains(ROLLED_BACK)).then_some(ROLLED_BACK)
    }

    /// Whether the host rejected a commit that `allow_older` would permit: the message names the flag.
    pub fn names_allow_older(&self) -> bool {
        // Only these come from the check of commits; another message may quote what a program printed.
        let is_about_commits = matches!(self.error, Some(ErrorCode::InvalidRevision | ErrorCode::Unhealthy));
        self.status == Status::Failed && is_about_commits && self.message.contains("--allow-older")
    }

    fn has_short_texts(&self) -> bool {
        fitting_prefix(&self.message, MAX_MESSAGE_TEXT).len() == self.message.len()
            && self
                .diagnostics
                .as_deref()
                .is_none_or(|text| fitting_suffix(text, MAX_DIAGNOSTICS).len() == text.len())
    }

    fn with_short_texts(&self) -> Self {
        let mut report = self.clone();
        report.message.truncate(fitting_prefix(&self.message, MAX_MESSAGE_TEXT).len());
        report.diagnostics = report.diagnostics.map(|text| fitting_suffix(&text, MAX_DIAGNOSTICS).to_owned());
        report
    }

    /// The report with each part truncated to its share of a message.
    pub(super) fn truncated(&self) -> Self {
        let mut report = self.with_short_texts();
        for text in [&mut report.revision, &mut report.issuer, &mut report.instance, &mut report.commit] {
            truncate_interned(text, 512);
        }
        truncate_interned(&mut report.confirm, 512);
        truncate_interned(&mut report.system, 1024);
        truncate_string(&mut report.cause, 512);
        truncate_list(&mut report.failed_units, 8 * 1024);
        report.phases.0.truncate(16);
        report.components.truncate(4 * 1024, 128);
        if let Some(progress) = &mut report.progress {
            progress.activity.truncate(fitting_prefix(&progress.activity, 1024).len());
        }
        if let Some(changes) = &mut report.changes {
            for units in
                [&mut changes.units_stopped, &mut changes.units_started, &mut changes.units_restarted]
            {
                truncate_list(units, 3 * 1024);
            }
            truncate_list(&mut changes.packages, 7 * 1024);
        }
        report
    }
}

/// Truncates a string to `max` encoded bytes.
pub(super) fn truncate_string(text: &mut Option<String>, max: usize) {
    if let Some(text) = text {
        text.truncate(fitting_prefix(text, max).len());
    }
}

/// Truncates a string to `max` encoded bytes, like [`truncate_string`].
pub(super) fn truncate_interned(text: &mut Option<InternedStr>, max: usize) {
    if let Some(text) = text {
        let start = fitting_prefix(text, max);
        if start.len() < text.len() {
            *text = start.into();
        }
    }
}

/// Keeps the first entries that fit into `max` encoded bytes, and drops all entries after the first that does not.
pub(super) fn truncate_list<T: Serialize>(list: &mut Vec<T>, max: usize) {
    let mut left = max;
    list.retain(|entry| {
        left = left.saturating_sub(codec::to_bytes(entry).len() + 1);
        left > 0
    });
}

open_enum! {
    /// The state of a job. Only `completed`, `failed` and `rejected` are final.
    Status {
        /// The request was accepted, and the job has not started.
        Accepted = "accepted",
        /// The job has started.
        Started = "started",
        /// The job is running: a heartbeat, or a change of phase or progress.
        Running = "running",
        /// The job succeeded.
        Completed = "completed",
        /// The job failed.
        Failed = "failed",
        /// The request was rejected.
        Rejected = "rejected",
    }
}

impl Status {
    /// Whether this state is final: no other report of this job on this host follows.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Rejected)
    }
}

/// A package whose version changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageChange {
    /// The package name, without version.
    pub name: String,
    /// The old version; absent if the package is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The new version; absent if the package is removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// The changes that a deployment makes on a host.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Changes {
    /// The units that are stopped.
    #[serde(default, deserialize_with = "codec::list", skip_serializing_if = "Vec::is_empty")]
    pub units_stopped: Vec<String>,
    /// The units that are started.
    #[serde(default, deserialize_with = "codec::list", skip_serializing_if = "Vec::is_empty")]
    pub units_started: Vec<String>,
    /// The units that are restarted.
    #[serde(default, deserialize_with = "codec::list", skip_serializing_if = "Vec::is_empty")]
    pub units_restarted: Vec<String>,
    /// The packages whose version changes.
    #[serde(default, deserialize_with = "codec::list", skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<PackageChange>,
    /// The change of the closure size in bytes; negative if it shrinks, absent if unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<i64>,
}

/// The progress of a build.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Progress {
    /// The builds that are done.
    #[serde(default, deserialize_with = "codec::null_as_default")]
    pub done: u64,
    /// The total number of expected builds.
    #[serde(default, deserialize_with = "codec::null_as_default")]
    pub expected: u64,
    /// The builds that are running.
    #[serde(default, deserialize_with = "codec::null_as_default")]
    pub running: u64,
    /// The bytes downloaded so far.
    #[serde(default, deserialize_with = "codec::null_as_default")]
    pub downloaded_bytes: u64,
    /// The total number of bytes to download.
    #[serde(default, deserialize_with = "codec::null_as_default")]
    pub expected_bytes: u64,
    /// The current activity, for display.
    #[serde(default, deserialize_with = "codec::null_as_default")]
    pub activity: String,
}
