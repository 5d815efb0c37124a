//! The record of one job, as stored on disk.

use super::{BranchCommit, Handover};
use crate::protocol::{Action, DeployReport, DeployRequest, Id, Name, PhaseName};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use tracing::Span;

/// The complete state of one job. Every field is written, even if it is empty.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a separate fact")]
pub struct JobRecord {
    /// The request that started the job.
    pub request: DeployRequest,
    /// The key that signed the request, if the signature was verified.
    #[serde(default)]
    pub verified_key: Option<String>,
    /// When it was accepted, by this host's clock.
    pub accepted_at: Timestamp,
    /// When prepare, build and check must have ended, by this host's clock.
    pub deadline: Timestamp,
    /// The count of service starts when it was accepted.
    pub starts: u64,
    /// Sequence number of its first report.
    #[serde(default)]
    pub accepted_seq: Option<u64>,
    /// Id of the boot on which it was accepted, if known.
    #[serde(default)]
    pub boot_id: Option<String>,
    /// How often a listener has restarted the job because the previous listener died.
    #[serde(default)]
    pub restarts: u32,
    /// The last report to operators: phases, commit, system, generation, and finally the result.
    pub report: DeployReport,
    /// The deployed commit and its branch, if it is on one.
    #[serde(default)]
    pub deployed: Option<BranchCommit>,
    /// The system before the job.
    #[serde(default, rename = "old")]
    pub previous: Option<PreviousSystem>,
    /// The worker's configuration; set once the worker owns the job.
    #[serde(default)]
    pub handover: Option<Handover>,
    /// The external command that does the job, if the listener is configured with one; set before it starts.
    #[serde(default)]
    pub external_command: Option<ExternalCommand>,
    /// Whether this job has moved the system profile.
    #[serde(default)]
    pub profile_moved: bool,
    /// The newest generation of the profile before this job moved it: a newer one belongs to this job.
    #[serde(default)]
    pub newest_generation: Option<u64>,
    /// The unit in which the worker runs.
    #[serde(default)]
    pub unit: Option<String>,
    /// The nonce that a new listener writes into its confirmation.
    #[serde(default)]
    pub nonce: Option<String>,
    /// Whether the activation touched something that connections depend on: an older connection then confirms nothing.
    #[serde(default)]
    pub connection_touched: bool,
    /// How many workers have taken over this job from one that died.
    #[serde(default)]
    pub recoveries: u32,
    /// Whether the listener was restarted after the rollback. That happens once per job, even if other steps are
    /// retried.
    #[serde(default)]
    pub listener_restarted: bool,
    /// Whether the host is rebooting because no other way restored the old system. A job requests that once.
    #[serde(default)]
    pub rebooting: bool,
    /// Whether the metrics include this job.
    #[serde(default)]
    pub counted: bool,
    /// Unknown fields of a newer version, preserved: after a rollback the older listener reads this record.
    #[serde(skip)]
    newer: Map<String, Value>,
}

/// The system before a job changed anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviousSystem {
    /// The store path of the running system.
    pub system: Option<String>,
    /// Target of the profile link, such as `system-42-link`.
    pub profile_link: Option<String>,
    /// The store path that the profile resolved to.
    pub profile_target: Option<String>,
    /// Units that had already failed.
    #[serde(default)]
    pub failed_units: Vec<String>,
    /// Services that were already in a crash loop.
    #[serde(default)]
    pub looping_units: Vec<String>,
    /// Restart counts of services by systemd, without those that are 0.
    #[serde(default)]
    pub restarts: BTreeMap<String, u64>,
    /// Id of the boot.
    pub boot_id: Option<String>,
}

impl JobRecord {
    /// A record for a new job.
    pub fn new(
        request: DeployRequest,
        accepted_at: Timestamp,
        deadline: Timestamp,
        starts: u64,
        report: DeployReport,
    ) -> Self {
        Self {
            request,
            verified_key: None,
            accepted_at,
            deadline,
            starts,
            accepted_seq: report.seq,
            boot_id: None,
            restarts: 0,
            report,
            deployed: None,
            previous: None,
            handover: None,
            external_command: None,
            profile_moved: false,
            newest_generation: None,
            unit: None,
            nonce: None,
            connection_touched: true,
            recoveries: 0,
            listener_restarted: false,
            rebooting: false,
            counted: false,
            newer: Map::new(),
        }
    }

    /// Parses a record and preserves unknown fields.
    pub fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        let mut record: Self = serde_json::from_slice(bytes)?;
        record.newer = unknown(serde_json::from_slice(bytes)?, &record.fields()?, 2);
        Ok(record)
    }

    /// Encodes the record as JSON, including the fields of a newer version.
    pub fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        if self.newer.is_empty() {
            return serde_json::to_vec_pretty(self);
        }
        let mut fields = self.fields()?;
        restore(&mut fields, &self.newer);
        serde_json::to_vec_pretty(&fields)
    }

    fn fields(&self) -> Result<Map<String, Value>, serde_json::Error> {
        serde_json::from_slice(&serde_json::to_vec(self)?)
    }

    /// Whether the job has a result.
    pub fn is_final(&self) -> bool {
        self.report.status.is_final()
    }

    /// Whether the job cannot have changed the host yet: each phase is recorded before it starts.
    pub fn is_host_unchanged(&self) -> bool {
        let before =
            |phase: &PhaseName| matches!(phase, PhaseName::Prepare | PhaseName::Build | PhaseName::Check);
        self.report.phases.running().is_none_or(|phase| before(&phase.name))
    }

    /// The position of this job among those of its host. The clock may jump but the count of starts does not, so the
    /// time decides only between jobs that an older version accepted after the same start.
    pub fn acceptance_order(&self) -> AcceptanceOrder {
        (self.starts, self.accepted_seq, self.accepted_at)
    }
}

/// Sort key that orders the jobs of a host by acceptance.
pub type AcceptanceOrder = (u64, Option<u64>, Timestamp);

/// The fields of `all` that are not in `known`, also in nested objects down to `depth`.
fn unknown(all: Map<String, Value>, known: &Map<String, Value>, depth: u8) -> Map<String, Value> {
    let beyond = |(key, value)| match (value, known.get(&key)) {
        (value, None) => Some((key, value)),
        (Value::Object(all), Some(Value::Object(known))) if depth > 1 => {
            let within = unknown(all, known, depth - 1);
            (!within.is_empty()).then_some((key, Value::Object(within)))
        }
        _ => None,
    };
    all.into_iter().filter_map(beyond).collect()
}

/// Restores the unknown fields, except those that are set.
fn restore(fields: &mut Map<String, Value>, newer: &Map<String, Value>) {
    for (key, value) in newer {
        match (fields.get_mut(key), value) {
            (None, value) => drop(fields.insert(key.clone(), value.clone())),
            (Some(Value::Object(fields)), Value::Object(newer)) => restore(fields, newer),
            _ => {}
        }
    }
}

/// An external command that was started for a job, or was about to be. It is recorded before the command starts, so that
/// a restarted listener follows the command instead of starting it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExternalCommand {
    /// Path of the program.
    pub program: String,
    /// The transient unit that it runs in, if the host runs systemd.
    #[serde(default)]
    pub unit: Option<String>,
    /// Id of the boot on which it runs.
    #[serde(default)]
    pub boot_id: Option<String>,
    /// Offset in the job's log at which its output begins, in bytes.
    pub log_offset: u64,
    /// Start time by this host's clock.
    pub started_at: Timestamp,
}

/// The span of a request, and of the job that it starts on this host.
pub fn request_span(request: &DeployRequest, host: &Name) -> Span {
    span(Some(&request.id), host, Some(&request.action))
}

/// The span of the job with this report.
pub fn report_span(report: &DeployReport) -> Span {
    span(report.id.as_ref(), &report.hostname, report.action.as_ref())
}

fn span(id: Option<&Id>, host: &Name, action: Option<&Action>) -> Span {
    let (id, action) = (id.map(tracing::field::display), action.map(tracing::field::display));
    tracing::info_span!("job", id, %host, action)
}
