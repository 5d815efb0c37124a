//! The deploy report: the whole state of one host's job, so that a late subscriber needs one message.

use super::wire::{self, WireError};
use super::{Action, Changes, ErrorCode, Id, MAX_ENCODED, Name, Phases, Progress, SharedText, Status};
use super::{fit_end, fit_start};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The most the sentence for a person may take, in bytes as encoded.
const MAX_TEXT: usize = 4 * 1024;
/// The most the diagnostics may take, in bytes as encoded.
const MAX_DIAGNOSTICS: usize = 16 * 1024;

/// What the message of a job says that was rolled back by our worker.
const ROLLED_BACK: &str = "rolled back to the previous system";

/// One host's report of one job. `hostname`, `status`, `error` and `message` are the base format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployReport {
    /// Who reports.
    pub hostname: Name,
    /// How far the job is.
    pub status: Status,
    /// Why it failed or was rejected.
    #[serde(default, deserialize_with = "wire::empty_as_none")]
    pub error: Option<ErrorCode>,
    /// One sentence for a person.
    #[serde(default, deserialize_with = "wire::null_as_default")]
    pub message: String,
    /// The deployment; taken from the subject where a base host sent none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Id>,
    /// The host's tier.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "wire::empty_as_none")]
    pub tier: Option<Name>,
    /// The host's role.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "wire::empty_as_none")]
    pub role: Option<Name>,
    /// What was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// The revision that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<SharedText>,
    /// Who asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<SharedText>,
    /// Tells two hosts that claim one name apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<SharedText>,
    /// Orders the reports of one host, across restarts; higher wins, and a final report beats any other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// When it was made, by the host's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// How long the job has run, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elapsed_ms: Option<u64>,
    /// Seconds between two reports of a running job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat_s: Option<u64>,
    /// The commit that is deployed, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<SharedText>,
    /// The store path of the system, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<SharedText>,
    /// The generation of the system profile, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// The phases, in order.
    #[serde(default, deserialize_with = "wire::null_as_default", skip_serializing_if = "Phases::is_empty")]
    pub phases: Phases,
    /// How far the build is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// Whether the host was rolled back to the previous system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolled_back: Option<bool>,
    /// Whether a reboot is needed for the whole of the new system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reboot_needed: Option<bool>,
    /// What the deployment changes; apart from the report, for most tell of none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<Box<Changes>>,
    /// Units that failed and had not failed before.
    #[serde(default, deserialize_with = "wire::list", skip_serializing_if = "Vec::is_empty")]
    pub failed_units: Vec<String>,
    /// The job that runs, with `already_running`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running_job: Option<Id>,
    /// A nonce, if only another client can confirm that this host is reached: one that follows the job sends it back
    /// over a fresh connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<SharedText>,
    /// Last output and the failed units' journal, on failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diagnostics: Option<String>,
}

impl DeployReport {
    /// A report with only the base fields.
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
            progress: None,
            rolled_back: None,
            reboot_needed: None,
            changes: None,
            failed_units: Vec::new(),
            running_job: None,
            confirm: None,
            diagnostics: None,
        }
    }

    /// Reads a report.
    pub fn parse(payload: &[u8]) -> Result<Self, WireError> {
        wire::from_bytes(payload)
    }

    /// The JSON of the report, under [`MAX_ENCODED`]: the message and the diagnostics never take more than their
    /// share, other long texts and lists are cut where there is no room, the verdict never.
    pub fn encode(&self) -> Vec<u8> {
        if self.has_short_texts() {
            let bytes = wire::to_bytes(self);
            return if bytes.len() < MAX_ENCODED { bytes } else { wire::to_bytes(&self.cut()) };
        }
        self.with_short_texts().encode()
    }

    /// The report for a server that takes small messages only: what a host has to say at length is left out.
    #[must_use]
    pub fn brief(&self) -> Self {
        let mut report = self.cut();
        report.message.truncate(fit_start(&self.message, 1024).len());
        (report.diagnostics, report.changes) = (None, None);
        cut_list(&mut report.failed_units, 512);
        report
    }

    /// That the host was rolled back, if its message does not say so.
    pub fn rollback_note(&self) -> Option<&'static str> {
        (self.rolled_back == Some(true) && !self.message.contains(ROLLED_BACK)).then_some(ROLLED_BACK)
    }

    /// Whether the host refused a commit that it deploys if the request allows an older one: its message names the flag.
    pub fn names_allow_older(&self) -> bool {
        self.status == Status::Failed && self.message.contains("--allow-older")
    }

    fn has_short_texts(&self) -> bool {
        fit_start(&self.message, MAX_TEXT).len() == self.message.len()
            && self
                .diagnostics
                .as_deref()
                .is_none_or(|text| fit_end(text, MAX_DIAGNOSTICS).len() == text.len())
    }

    fn with_short_texts(&self) -> Self {
        let mut report = self.clone();
        report.message.truncate(fit_start(&self.message, MAX_TEXT).len());
        report.diagnostics = report.diagnostics.map(|text| fit_end(&text, MAX_DIAGNOSTICS).to_owned());
        report
    }

    /// The report with every part cut to its share of a message.
    pub(super) fn cut(&self) -> Self {
        let mut report = self.with_short_texts();
        for text in [&mut report.revision, &mut report.issuer, &mut report.instance, &mut report.commit] {
            cut_shared(text, 512);
        }
        cut_shared(&mut report.confirm, 512);
        cut_shared(&mut report.system, 1024);
        cut_list(&mut report.failed_units, 8 * 1024);
        report.phases.0.truncate(16);
        if let Some(progress) = &mut report.progress {
            progress.activity.truncate(fit_start(&progress.activity, 1024).len());
        }
        if let Some(changes) = &mut report.changes {
            for units in
                [&mut changes.units_stopped, &mut changes.units_started, &mut changes.units_restarted]
            {
                cut_list(units, 3 * 1024);
            }
            cut_list(&mut changes.packages, 10 * 1024);
        }
        report
    }
}

/// Keeps the start that fits into `max` encoded bytes.
pub(super) fn cut_text(text: &mut Option<String>, max: usize) {
    if let Some(text) = text {
        text.truncate(fit_start(text, max).len());
    }
}

/// As [`cut_text`].
pub(super) fn cut_shared(text: &mut Option<SharedText>, max: usize) {
    if let Some(text) = text {
        let start = fit_start(text, max);
        if start.len() < text.len() {
            *text = start.into();
        }
    }
}

/// Keeps the first entries that fit into `max` encoded bytes; once one did not fit, nothing after it does.
pub(super) fn cut_list<T: Serialize>(list: &mut Vec<T>, max: usize) {
    let mut room = max;
    list.retain(|entry| {
        room = room.saturating_sub(wire::to_bytes(entry).len() + 1);
        room > 0
    });
}
