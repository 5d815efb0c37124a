//! One deployment as an operator sees it: a report of each host.

use super::host::seconds;
use crate::protocol::{Action, DeployReport, Id, Name};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::HashMap;
use std::sync::Arc;

/// The heartbeat assumed of a host that names none, in seconds.
const DEFAULT_HEARTBEAT: u64 = 15;

/// One host's part of a deployment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HostJob {
    /// Its latest report.
    pub report: Arc<DeployReport>,
    /// When that host was last heard of in this deployment.
    pub heard: Timestamp,
}

/// One request on one or many hosts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Deployment {
    /// Its id.
    pub id: Option<Id>,
    /// What was asked for.
    pub action: Option<Action>,
    /// The revision that was asked for.
    pub revision: Option<String>,
    /// Who asked.
    pub issuer: Option<String>,
    /// When it was first heard of.
    pub since: Timestamp,
    /// The hosts by name; more than one entry where two hosts claim one name.
    pub hosts: HashMap<Name, Vec<HostJob>>,
}

impl Deployment {
    pub(super) fn new(report: &DeployReport, now: Timestamp) -> Self {
        Self {
            id: report.id.clone(),
            action: report.action.clone(),
            revision: report.revision.clone(),
            issuer: report.issuer.clone(),
            since: now,
            hosts: HashMap::new(),
        }
    }

    pub(super) fn apply(&mut self, report: Arc<DeployReport>, now: Timestamp) -> bool {
        let jobs = match self.hosts.get_mut(&report.hostname) {
            Some(jobs) => jobs,
            // Two hosts of one name are rare.
            None => self.hosts.entry(report.hostname.clone()).or_insert_with(|| Vec::with_capacity(1)),
        };
        match jobs.iter_mut().find(|job| job.report.instance == report.instance) {
            Some(job) => {
                job.heard = now;
                let newer = supersedes(&report, &job.report);
                if newer {
                    job.report = report;
                }
                newer
            }
            None => {
                jobs.push(HostJob { report, heard: now });
                true
            }
        }
    }

    /// The job of a host: of two that claim its name, the one that went worse.
    pub fn job(&self, host: &Name) -> Option<&HostJob> {
        let jobs = self.hosts.get(host)?;
        let rank = |job: &&HostJob| match (job.report.status.is_final(), &job.report.error) {
            (true, Some(_)) => 2,
            (false, _) => 1,
            (true, None) => 0,
        };
        jobs.iter().max_by_key(rank)
    }

    /// Whether every host that was heard of has its verdict.
    pub fn is_over(&self) -> bool {
        self.hosts.values().flatten().all(|job| job.report.status.is_final())
    }
}

impl HostJob {
    /// Whether three heartbeats in a row are missing.
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        let heartbeat = self.report.heartbeat_s.filter(|seconds| *seconds > 0).unwrap_or(DEFAULT_HEARTBEAT);
        let patience = seconds(heartbeat) * 3;
        !self.report.status.is_final() && now.duration_since(self.heard) > patience
    }
}

/// Whether `report` takes the place of `known`, both of one job: a verdict stands, and beats whatever is not final;
/// else the higher `seq` wins, and without one the later to arrive. A verdict from a host answer lacks its diagnostics,
/// which the report itself then brings.
pub(super) fn supersedes(report: &DeployReport, known: &DeployReport) -> bool {
    if known.status.is_final() {
        let same = known.seq.is_some() && report.seq == known.seq;
        return same && known.diagnostics.is_none() && report.diagnostics.is_some();
    }
    if report.status.is_final() {
        return true;
    }
    match (report.seq, known.seq) {
        (Some(new), Some(old)) => new > old,
        _ => true,
    }
}
