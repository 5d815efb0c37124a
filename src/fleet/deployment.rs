//! One deployment as an operator sees it: a report of each host.

use super::Tally;
use super::host::seconds;
use crate::protocol::{Action, DeployReport, Id, Name, SharedText};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use std::collections::HashMap;
use std::sync::Arc;

/// The heartbeat assumed of a host that names none, in seconds.
const DEFAULT_HEARTBEAT: u64 = 15;
/// How many instances of one name are kept: more than one is a fault already.
const MAX_CLAIMANTS: usize = 8;

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
    pub revision: Option<SharedText>,
    /// The commit, once a host has told it.
    pub commit: Option<SharedText>,
    /// Who asked.
    pub issuer: Option<SharedText>,
    /// When it was first heard of.
    pub since: Timestamp,
    /// When it began: by how long it had run when it was first heard of, or by its host's clock where it had ended by then.
    pub begun: Timestamp,
    /// The hosts by name; more than one entry where two hosts claim one name.
    pub hosts: HashMap<Name, Vec<HostJob>>,
    /// How many of them are how.
    pub tally: Tally,
}

impl Deployment {
    pub(super) fn new(report: &DeployReport, now: Timestamp) -> Self {
        Self {
            id: report.id.clone(),
            action: report.action.clone(),
            revision: report.revision.clone(),
            commit: None,
            issuer: report.issuer.clone(),
            since: now,
            begun: begun(report, now),
            hosts: HashMap::new(),
            tally: Tally::default(),
        }
    }

    pub(super) fn apply(&mut self, report: Arc<DeployReport>, now: Timestamp) -> bool {
        if self.commit.is_none() {
            self.commit.clone_from(&report.commit);
        }
        let jobs = match self.hosts.get_mut(&report.hostname) {
            Some(jobs) => jobs,
            // Two hosts of one name are rare.
            None => self.hosts.entry(report.hostname.clone()).or_insert_with(|| Vec::with_capacity(1)),
        };
        let is_full = jobs.len() >= MAX_CLAIMANTS;
        match jobs.iter_mut().find(|job| job.report.instance == report.instance) {
            Some(job) => {
                job.heard = now;
                let newer = supersedes(&report, &job.report);
                if newer {
                    self.tally.take(&job.report.status);
                    self.tally.add(&report.status);
                    job.report = report;
                }
                newer
            }
            None if is_full => false,
            None => {
                self.tally.add(&report.status);
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
        self.tally.running == 0
    }

    /// Whether a host is known to work on it.
    pub fn is_under_way(&self, now: Timestamp) -> bool {
        let works = |job: &HostJob| !job.report.status.is_final() && !job.is_overdue(now);
        !self.is_over() && self.hosts.values().flatten().any(works)
    }

    /// Whether it brings hosts to a state; what cancels or holds others does not.
    pub fn makes_jobs(&self) -> bool {
        self.action.as_ref().is_none_or(Action::makes_job)
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

/// When the job of a report began that was heard at `now`.
fn begun(report: &DeployReport, now: Timestamp) -> Timestamp {
    let told = if report.status.is_final() { report.at.unwrap_or(now) } else { now };
    let ran = report.elapsed_ms.and_then(|elapsed| i64::try_from(elapsed).ok()).unwrap_or(0);
    told.checked_sub(SignedDuration::from_millis(ran)).unwrap_or(told).min(now)
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
