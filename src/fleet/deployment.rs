//! A deployment as an operator sees it: the latest report of each host, and the number of hosts by status.

use super::failure_groups::FailureGroups;
use super::host::bounded_seconds;
use super::job_share::job_share;
use crate::protocol::{Action, DeployReport, Id, InternedStr, Name, Status};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use std::collections::HashMap;
use std::sync::Arc;

/// The heartbeat of a host that reports none, in seconds.
const DEFAULT_HEARTBEAT: u64 = 15;
/// The number of instances kept for one name. More than one is already a fault.
const MAX_CLAIMANTS: usize = 8;

/// The job of one host in a deployment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HostJob {
    /// The latest report of the job.
    pub report: Arc<DeployReport>,
    /// When the last report of the job arrived, by the operator's clock.
    pub last_seen: Timestamp,
    /// The start time, computed from the first report like that of the deployment.
    pub started_at: Timestamp,
}

/// A request to one or many hosts, and their jobs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Deployment {
    /// The id of the request.
    pub id: Option<Id>,
    /// The requested action.
    pub action: Option<Action>,
    /// The requested revision.
    pub revision: Option<InternedStr>,
    /// The commit, once a host has reported it.
    pub commit: Option<InternedStr>,
    /// The name that the issuer gave in the request.
    pub issuer: Option<InternedStr>,
    /// When the first report arrived, by the operator's clock.
    pub first_seen: Timestamp,
    /// The start time: the first report's arrival minus its elapsed time. If that report was final, its own time is
    /// used.
    pub started_at: Timestamp,
    /// The jobs by host name; more than one entry if several instances use one name.
    pub hosts: HashMap<Name, Vec<HostJob>>,
    /// The number of hosts by status.
    pub counts: StatusCounts,
    /// The sum of the shares of all hosts that are done, each in thousandths.
    #[serde(skip)]
    pub done: u64,
    /// The failures by cause.
    #[serde(skip)]
    pub failures: FailureGroups,
}

impl Deployment {
    pub(super) fn new(report: &DeployReport, now: Timestamp) -> Self {
        Self {
            id: report.id.clone(),
            action: report.action.clone(),
            revision: report.revision.clone(),
            commit: None,
            issuer: report.issuer.clone(),
            first_seen: now,
            started_at: start_time(report, now),
            hosts: HashMap::new(),
            counts: StatusCounts::default(),
            done: 0,
            failures: FailureGroups::default(),
        }
    }

    pub(super) fn apply(&mut self, report: Arc<DeployReport>, now: Timestamp) -> bool {
        if self.commit.is_none() {
            self.commit.clone_from(&report.commit);
        }
        let jobs = match self.hosts.get_mut(&report.hostname) {
            Some(jobs) => jobs,
            // Several instances with one name are rare.
            None => self.hosts.entry(report.hostname.clone()).or_insert_with(|| Vec::with_capacity(1)),
        };
        let is_full = jobs.len() >= MAX_CLAIMANTS;
        let before = host_share(jobs);
        let is_newer = match jobs.iter_mut().find(|job| job.report.instance == report.instance) {
            Some(job) => {
                job.last_seen = now;
                let newer = supersedes(&report, &job.report);
                if newer {
                    self.counts.remove(&job.report);
                    self.failures.remove(&job.report);
                    self.counts.add(&report);
                    self.failures.add(&report);
                    job.report = report;
                }
                newer
            }
            None if is_full => false,
            None => {
                self.counts.add(&report);
                self.failures.add(&report);
                jobs.push(HostJob { started_at: start_time(&report, now), report, last_seen: now });
                true
            }
        };
        self.done = self.done + host_share(jobs) - before;
        is_newer
    }

    /// The job of a host. If several instances use its name, the one with the worse result.
    pub fn job(&self, host: &Name) -> Option<&HostJob> {
        let jobs = self.hosts.get(host)?;
        let rank = |job: &&HostJob| match (job.report.status.is_final(), &job.report.error) {
            (true, Some(_)) => 2,
            (false, _) => 1,
            (true, None) => 0,
        };
        jobs.iter().max_by_key(rank)
    }

    /// Whether every host that has reported has its result.
    pub fn is_finished(&self) -> bool {
        self.counts.running == 0
    }

    /// Whether a host is known to be working on it.
    pub fn is_running(&self, now: Timestamp) -> bool {
        let works = |job: &HostJob| !job.report.status.is_final() && !job.is_overdue(now);
        !self.is_finished() && self.hosts.values().flatten().any(works)
    }

    /// Whether the action creates jobs; cancelling and holding do not.
    pub fn creates_jobs(&self) -> bool {
        self.action.as_ref().is_none_or(Action::creates_job)
    }
}

impl HostJob {
    /// How long the job had run at its last report, in milliseconds.
    pub fn elapsed_ms(&self) -> u64 {
        self.report.elapsed_ms.unwrap_or(0)
    }

    /// The end time: the start plus the run time. Of a running job, the arrival of its last report.
    pub fn ended_at(&self) -> Timestamp {
        let elapsed = SignedDuration::from_millis(i64::try_from(self.elapsed_ms()).unwrap_or(i64::MAX));
        let end = self.started_at.checked_add(elapsed).unwrap_or(self.last_seen);
        if self.report.status.is_final() { end.min(self.last_seen) } else { self.last_seen }
    }

    /// Whether three consecutive heartbeats are missing.
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        let heartbeat = self.report.heartbeat_s.filter(|seconds| *seconds > 0).unwrap_or(DEFAULT_HEARTBEAT);
        let patience = bounded_seconds(heartbeat) * 3;
        !self.report.status.is_final() && now.duration_since(self.last_seen) > patience
    }
}

/// The part of the work on a host that is done, in thousandths. If several instances use its name, that of the slowest.
pub fn host_share(jobs: &[HostJob]) -> u64 {
    jobs.iter().map(|job| job_share(&job.report)).min().unwrap_or(0)
}

/// The start time of a job whose report arrived at `now`.
fn start_time(report: &DeployReport, now: Timestamp) -> Timestamp {
    let sent_at = if report.status.is_final() { report.at.unwrap_or(now) } else { now };
    let ran = report.elapsed_ms.and_then(|elapsed| i64::try_from(elapsed).ok()).unwrap_or(0);
    sent_at.checked_sub(SignedDuration::from_millis(ran)).unwrap_or(sent_at).min(now)
}

/// Whether `report` replaces `known`, a report of the same job. A final report is never replaced, but replaces any
/// other. Otherwise the higher `seq` wins, or the later arrival if there is no `seq`. A final report that came with a
/// presence message lacks diagnostics; the same report with diagnostics replaces it.
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

/// The number of hosts of a deployment by status, as far as they have reported.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[expect(
    missing_docs,
    reason = "each field is the number of hosts with that status; a cancelled job has not failed"
)]
pub struct StatusCounts {
    pub completed: usize,
    pub failed: usize,
    pub cancelled: usize,
    pub rejected: usize,
    pub running: usize,
}

impl StatusCounts {
    /// Counts one more host, with this report.
    pub fn add(&mut self, report: &DeployReport) {
        *self.count_of(report) += 1;
    }

    pub(super) fn remove(&mut self, report: &DeployReport) {
        let count = self.count_of(report);
        *count = count.saturating_sub(1);
    }

    /// The number of hosts with a result.
    pub fn ended(&self) -> usize {
        self.completed + self.failed + self.cancelled + self.rejected
    }

    fn count_of(&mut self, report: &DeployReport) -> &mut usize {
        match report.status {
            Status::Completed => &mut self.completed,
            Status::Failed if report.is_cancelled() => &mut self.cancelled,
            Status::Failed => &mut self.failed,
            Status::Rejected => &mut self.rejected,
            _ => &mut self.running,
        }
    }
}
