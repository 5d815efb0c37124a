//! What `notify` keeps over a restart: what was notified, open deployments, and notifications that wait.

use super::groups::DeploymentGroup;
use super::host_watch::HostTrouble;
use super::outbox::Outbox;
use crate::atomic_file::{self, WriteError};
use crate::protocol::{DeployReport, Id, Name};
use crate::state_dir::StateDir;
use crate::text::fitting_prefix;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The directory of the file in the state directory, and its name.
pub(super) const RECORDS: &str = "state";
const FILE: &str = "notify.json";
/// The maximum length of a text in a saved report, in bytes.
const MAX_TEXT: usize = 400;

/// The content of the file.
#[derive(Debug, Default, Deserialize)]
pub(super) struct SavedState {
    /// When the first process started; earlier results are not news.
    #[serde(default)]
    pub(super) first_start: Option<Timestamp>,
    /// Until when the fleet was watched; `None` before the first connection.
    #[serde(default)]
    pub(super) watched_until: Option<Timestamp>,
    #[serde(default)]
    pub(super) deployments: BTreeMap<Id, DeploymentGroup>,
    /// The last reports of deployments that have not ended.
    #[serde(default)]
    pub(super) reports: Vec<DeployReport>,
    #[serde(default)]
    pub(super) troubles: BTreeMap<Name, HostTrouble>,
    /// The notifications that wait, by target.
    #[serde(default)]
    pub(super) waiting: BTreeMap<Name, Outbox>,
}

/// The same content, as it is written.
#[derive(Debug, Serialize)]
pub(super) struct CurrentState<'a> {
    pub(super) first_start: Timestamp,
    pub(super) watched_until: Option<Timestamp>,
    pub(super) deployments: &'a BTreeMap<Id, DeploymentGroup>,
    pub(super) reports: Vec<DeployReport>,
    pub(super) troubles: &'a BTreeMap<Name, HostTrouble>,
    pub(super) waiting: BTreeMap<&'a Name, &'a Outbox>,
}

impl SavedState {
    /// The path of the file.
    pub(super) fn file(dir: &StateDir) -> PathBuf {
        dir.records().join(FILE)
    }

    /// Reads the file. A damaged one is quarantined, with a warning.
    pub(super) fn read(dir: &mut StateDir) -> Self {
        let file = Self::file(dir);
        dir.read_record("notify", &file, |bytes| serde_json::from_slice(bytes)).unwrap_or_default()
    }
}

impl CurrentState<'_> {
    /// The content of the file.
    pub(super) fn encode(&self) -> Vec<u8> {
        // Every key is a string.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// Replaces the file. Blocks.
pub(super) fn write(file: &Path, content: &[u8]) -> Result<(), WriteError> {
    atomic_file::write(file, content)
}

/// The parts of a report that a notification needs.
pub(super) fn saved_report(report: &DeployReport) -> DeployReport {
    let short = |text: &str| fitting_prefix(text, MAX_TEXT).to_owned();
    DeployReport {
        error: report.error.clone(),
        id: report.id.clone(),
        tier: report.tier.clone(),
        role: report.role.clone(),
        action: report.action.clone(),
        revision: report.revision.clone(),
        issuer: report.issuer.clone(),
        instance: report.instance.clone(),
        seq: report.seq,
        at: report.at,
        elapsed_ms: report.elapsed_ms,
        heartbeat_s: report.heartbeat_s,
        commit: report.commit.clone(),
        rolled_back: report.rolled_back,
        cause: report.cause.as_deref().map(short),
        ..DeployReport::new(report.hostname.clone(), report.status.clone(), short(&report.message))
    }
}
