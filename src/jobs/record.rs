//! The record of one job, as it lies on disk.

use super::{BranchCommit, ExternalCommand, Orders};
use crate::protocol::{DeployReport, DeployRequest, PhaseName};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// All that is known of one job. Every field is written, also where it is empty.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Record {
    /// What was asked for.
    pub request: DeployRequest,
    /// The key that signed the request, where it was verified.
    #[serde(default)]
    pub verified_key: Option<String>,
    /// When it was accepted, by this host's clock.
    pub accepted_at: Timestamp,
    /// When prepare, build and check must have ended, by this host's clock.
    pub deadline: Timestamp,
    /// The count of service starts at which it was accepted.
    pub starts: u64,
    /// The number of its first report.
    #[serde(default)]
    pub accepted_seq: Option<u64>,
    /// The boot on which it was accepted, if that is known.
    #[serde(default)]
    pub boot_id: Option<String>,
    /// How often a listener has restarted it because the one before went away.
    #[serde(default)]
    pub restarts: u32,
    /// The job as operators are told: phases, commit, system, generation, and in the end the verdict.
    pub report: DeployReport,
    /// The commit and the branch that it is deployed from, if it is on one.
    #[serde(default)]
    pub deployed: Option<BranchCommit>,
    /// What ran before.
    #[serde(default)]
    pub old: Option<System>,
    /// What the activation program is to do; set once it owns the job.
    #[serde(default)]
    pub orders: Option<Orders>,
    /// The program that does the job, where one was given to the listener; set before it starts.
    #[serde(default)]
    pub external_command: Option<ExternalCommand>,
    /// Whether this job has moved the system profile.
    #[serde(default)]
    pub profile_moved: bool,
    /// The newest generation of the profile before this job moved it: a newer one is this job's.
    #[serde(default)]
    pub newest_generation: Option<u64>,
    /// The unit that activates.
    #[serde(default)]
    pub unit: Option<String>,
    /// What a new listener writes down to prove that it is reachable.
    #[serde(default)]
    pub nonce: Option<String>,
    /// Whether the activation touched what connections depend on, so that one of before confirms nothing.
    #[serde(default)]
    pub connection_touched: bool,
    /// How many workers have taken this job over from one that died.
    #[serde(default)]
    pub recoveries: u32,
    /// Whether the listener was restarted after the rollback. That is done once, whatever else is tried again.
    #[serde(default)]
    pub listener_restarted: bool,
    /// Whether the host is being rebooted because nothing else brought the old system back. It is asked for once.
    #[serde(default)]
    pub rebooting: bool,
    /// Whether the metrics have counted it.
    #[serde(default)]
    pub counted: bool,
    /// Fields of a newer version, kept as they were: after a rollback the older listener reads this record.
    #[serde(skip)]
    newer: Map<String, Value>,
}

/// A system as it ran before a job changed anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct System {
    /// The store path of the running system.
    pub system: Option<String>,
    /// What the profile's own link named, such as `system-42-link`.
    pub profile_link: Option<String>,
    /// The store path that the profile resolved to.
    pub profile_target: Option<String>,
    /// Units that had failed already.
    #[serde(default)]
    pub failed_units: Vec<String>,
    /// Services that crashed and were restarted again and again already.
    #[serde(default)]
    pub looping_units: Vec<String>,
    /// How often systemd had restarted each service, where it had.
    #[serde(default)]
    pub restarts: BTreeMap<String, u64>,
    /// Which boot it was.
    pub boot_id: Option<String>,
}

impl Record {
    /// A fresh record.
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
            old: None,
            orders: None,
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

    /// Reads a record.
    pub fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        let all: Map<String, Value> = serde_json::from_slice(bytes)?;
        let mut record: Self = serde_json::from_value(Value::Object(all.clone()))?;
        record.newer = unknown(all, &record.fields()?, 2);
        Ok(record)
    }

    /// The JSON of the record, with the fields of a newer version.
    pub fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        if self.newer.is_empty() {
            return serde_json::to_vec_pretty(self);
        }
        let mut fields = self.fields()?;
        restore(&mut fields, &self.newer);
        serde_json::to_vec_pretty(&fields)
    }

    fn fields(&self) -> Result<Map<String, Value>, serde_json::Error> {
        serde_json::from_value(serde_json::to_value(self)?)
    }

    /// Whether the job has its verdict.
    pub fn is_final(&self) -> bool {
        self.report.status.is_final()
    }

    /// Whether nothing of the host can have been changed yet: each step is written down before it is taken.
    pub fn is_untouched(&self) -> bool {
        let before =
            |phase: &PhaseName| matches!(phase, PhaseName::Prepare | PhaseName::Build | PhaseName::Check);
        self.report.phases.running().is_none_or(|phase| before(&phase.name))
    }

    /// The place of this job among those of its host. Clocks jump and the count of starts does not: the time decides only
    /// between jobs that an older version accepted after one start.
    pub fn order(&self) -> AcceptanceOrder {
        (self.starts, self.accepted_seq, self.accepted_at)
    }
}

/// Orders the jobs of a host as they were accepted.
pub type AcceptanceOrder = (u64, Option<u64>, Timestamp);

/// What `all` holds beyond the known fields: of the record itself, and of the objects in it down to `depth`.
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

/// Puts the unknown fields back, where nothing else has come to stand.
fn restore(fields: &mut Map<String, Value>, newer: &Map<String, Value>) {
    for (key, value) in newer {
        match (fields.get_mut(key), value) {
            (None, value) => drop(fields.insert(key.clone(), value.clone())),
            (Some(Value::Object(fields)), Value::Object(newer)) => restore(fields, newer),
            _ => {}
        }
    }
}
