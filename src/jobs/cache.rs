//! The jobs that a listener keeps in memory. Older jobs that have ended and are delivered are read from disk, so that
//! memory stays bounded.

use super::{AcceptanceOrder, JobRecord, JobStore};
use crate::protocol::{Action, DeployReport, Destination, ErrorCode, Id, Name, Status};
use crate::state_dir::RETENTION;
use jiff::{SignedDuration, Timestamp};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Number of newest jobs that stay in memory and whose directories are kept regardless of age.
const MAX_CACHED: usize = 50;
/// Interval between sweeps for expired directories of jobs that are not in memory.
const SWEEP_INTERVAL: SignedDuration = SignedDuration::from_hours(1);

/// A job in memory.
#[derive(Debug, Clone)]
pub struct CachedJob {
    /// When the listener accepted it.
    pub accepted_at: Timestamp,
    /// Its position among the jobs of this host.
    order: AcceptanceOrder,
    /// Where its reports go.
    pub destination: Destination,
    /// Its last report.
    pub report: Arc<DeployReport>,
    /// Whether the server has acknowledged the last report.
    delivered: bool,
    /// Whether it may still have garbage collector roots.
    rooted: bool,
}

impl CachedJob {
    /// Whether the result must still be sent: it is final, not acknowledged, and less than a day old.
    fn is_undelivered(&self, now: Timestamp) -> bool {
        self.report.status.is_final() && !self.delivered && now.duration_since(self.accepted_at) < RETENTION
    }

    /// Whether this is a job, not a hold or a release.
    fn is_job(&self) -> bool {
        self.report.action.as_ref().is_none_or(Action::creates_job)
    }

    /// Whether its action changes neither the running system nor the one of the next boot.
    fn is_build_only(&self) -> bool {
        matches!(self.report.action, Some(Action::Build | Action::DryActivate))
    }

    /// Whether it decides the state of the host.
    fn is_change(&self) -> bool {
        self.is_job() && self.report.is_change()
    }

    /// Whether it changed the running system or the one of the next boot.
    fn has_deployed(&self) -> bool {
        self.report.status == Status::Completed
            && matches!(self.report.action, Some(Action::Switch | Action::Test | Action::Boot))
    }
}

/// The jobs in memory, and through them those on disk.
#[derive(Debug)]
pub struct JobCache {
    store: Arc<JobStore>,
    hostname: Name,
    jobs: HashMap<Id, CachedJob>,
    last_sweep: Option<Timestamp>,
}

impl JobCache {
    /// An empty cache.
    pub fn new(store: Arc<JobStore>, hostname: Name) -> Self {
        Self { store, hostname, jobs: HashMap::new(), last_sweep: None }
    }

    /// Adds a job that has ended.
    pub fn insert(&mut self, record: &JobRecord) {
        let known = CachedJob {
            accepted_at: record.accepted_at,
            order: record.acceptance_order(),
            destination: record.request.destination(),
            report: Arc::new(record.report.clone()),
            delivered: self.store.is_delivered(&record.request.id),
            rooted: true,
        };
        self.jobs.insert(record.request.id.clone(), known);
    }

    /// The last report of a job, in memory or on disk.
    pub fn report(&self, id: &Id) -> Option<Arc<DeployReport>> {
        if let Some(job) = self.jobs.get(id) {
            return Some(job.report.clone());
        }
        let job_dir = self.store.job(id);
        // A new id is the usual case, and operators wait for its check.
        if !job_dir.path().exists() {
            return None;
        }
        match job_dir.record() {
            Ok(record) => Some(Arc::new(record.report)),
            // The result was delivered, so the job ran; a request with the same id must not start it again.
            Err(error) if self.store.is_delivered(id) => {
                tracing::warn!(%id, %error, "failed to read the report of an old job");
                let status = Status::Failed;
                let message = "this job has ended, but its record can no longer be read";
                let report = DeployReport::new(self.hostname.clone(), status, message);
                let error = Some(ErrorCode::Interrupted);
                Some(Arc::new(DeployReport { id: Some(id.clone()), error, ..report }))
            }
            Err(_) => None,
        }
    }

    /// The last report of the newest job.
    pub fn newest(&self) -> Option<Arc<DeployReport>> {
        self.newest_where(CachedJob::is_job).map(|(_, job)| job.report.clone())
    }

    /// The last report of the newest job that [decides the state](DeployReport::is_change) of the host.
    pub fn last_change(&self) -> Option<Arc<DeployReport>> {
        self.newest_where(CachedJob::is_change).map(|(_, job)| job.report.clone())
    }

    /// The last report of the newest job that deployed `system`; `None` if no job did. An external command reports no
    /// system.
    pub fn deployed(&self, system: Option<&str>) -> Option<&DeployReport> {
        let made = self.newest_where(|job| job.has_deployed() && job.report.system.as_deref() == system);
        made.map(|(_, job)| &*job.report)
    }

    /// The jobs whose result is not delivered: all, or only the one with this id.
    pub fn undelivered(&self, id: Option<&Id>, now: Timestamp) -> Vec<(Id, CachedJob)> {
        let of = self.jobs.iter().filter(|(job, _)| id.is_none_or(|id| id == *job));
        of.filter(|(_, job)| job.is_undelivered(now)).map(|(id, job)| (id.clone(), job.clone())).collect()
    }

    /// Marks the result of a job as delivered.
    pub fn mark_delivered(&mut self, id: &Id) {
        if let Some(job) = self.jobs.get_mut(id) {
            job.delivered = true;
        }
    }

    /// Drops what is no longer needed. The last job that decides the state of the host always stays.
    /// Garbage collector roots stay for two jobs only: the last one that changed the system, whose roots include the
    /// previous system, and the last build-only one. Directories older than a day are removed.
    pub fn prune(&mut self, now: Timestamp) {
        let newest = |builds| {
            self.newest_where(|job| job.is_job() && job.is_build_only() == builds).map(|(id, _)| id.clone())
        };
        let rooted = [newest(false), newest(true)];
        let last_change = self.newest_where(CachedJob::is_change).map(|(id, _)| id.clone());
        for (id, job) in &mut self.jobs {
            if job.rooted && !rooted.iter().flatten().any(|rooted| rooted == id) {
                job.rooted = !self.store.drop_roots(id);
            }
        }

        let mut by_age: Vec<_> = self.jobs.iter().map(|(id, job)| (job.order, id.clone())).collect();
        by_age.sort_unstable_by(|a, b| b.cmp(a));
        let mut systems = HashSet::new();
        for (n, (_, id)) in by_age.into_iter().enumerate() {
            let job = &self.jobs[&id];
            let made = job.has_deployed() && systems.insert(job.report.system.clone());
            if n < MAX_CACHED || !job.report.status.is_final() || Some(&id) == last_change.as_ref() {
                continue;
            }
            if now.duration_since(job.accepted_at) > RETENTION {
                self.store.remove(&id);
                self.jobs.remove(&id);
            } else if !made
                && !rooted.contains(&Some(id.clone()))
                && !job.is_undelivered(now)
                && self.is_on_disk(&id)
            {
                self.jobs.remove(&id);
            }
        }
        if self.last_sweep.is_none_or(|at| now.duration_since(at) > SWEEP_INTERVAL) {
            self.last_sweep = Some(now);
            self.store.sweep(RETENTION, now, |id| self.jobs.contains_key(id));
        }
    }

    /// Whether the job's result can be read from disk.
    fn is_on_disk(&self, id: &Id) -> bool {
        self.store.is_delivered(id) && self.store.job(id).record().is_ok_and(|record| record.is_final())
    }

    fn newest_where(&self, matches: impl Fn(&CachedJob) -> bool) -> Option<(&Id, &CachedJob)> {
        let jobs = self.jobs.iter().filter(|(_, job)| matches(job));
        jobs.max_by_key(|(_, job)| job.order)
    }
}
