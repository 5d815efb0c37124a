//! The jobs that a listener has at hand. What has ended, is told and is not among the newest is known by its folder alone, so
//! that a listener does not grow with what it has done.

use super::{AcceptanceOrder, Record, Store};
use crate::protocol::{Action, DeployReport, Destination, ErrorCode, Id, Name, Status};
use jiff::{SignedDuration, Timestamp};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Jobs that stay at hand, and whose folders are kept, whatever their age.
const NEWEST: usize = 50;
/// How long an accepted id is remembered, and an untold verdict is told again.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(24);
/// How often the folders of jobs that are not at hand are looked through for those to remove.
const SWEEP: SignedDuration = SignedDuration::from_hours(1);

/// A job at hand.
#[derive(Debug, Clone)]
pub struct Known {
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// Its place among the jobs of the host.
    order: AcceptanceOrder,
    /// Where its reports go.
    pub destination: Destination,
    /// Its last report.
    pub report: Arc<DeployReport>,
    /// Whether its last report is known to have reached the server.
    sent: bool,
}

impl Known {
    /// Whether the verdict is still to be told: final, not known to have arrived, and not older than a day.
    fn is_owed(&self, now: Timestamp) -> bool {
        self.report.status.is_final() && !self.sent && now.duration_since(self.accepted_at) < REMEMBERED
    }

    /// Whether it is a job, and no hold or release.
    fn is_job(&self) -> bool {
        self.report.action.as_ref().is_none_or(Action::makes_job)
    }

    /// Whether it changed nothing that runs or will run.
    fn only_builds(&self) -> bool {
        matches!(self.report.action, Some(Action::Build | Action::DryActivate))
    }

    /// Whether it made its system the running one, or that of the next boot.
    fn deployed(&self) -> bool {
        self.report.status == Status::Completed
            && matches!(self.report.action, Some(Action::Switch | Action::Test | Action::Boot))
    }
}

/// The jobs at hand, and through them those that lie on disk.
#[derive(Debug)]
pub struct AtHand {
    store: Arc<Store>,
    hostname: Name,
    jobs: HashMap<Id, Known>,
    swept_at: Option<Timestamp>,
}

impl AtHand {
    /// Nothing at hand yet.
    pub fn new(store: Arc<Store>, hostname: Name) -> Self {
        Self { store, hostname, jobs: HashMap::new(), swept_at: None }
    }

    /// Takes a job that has ended.
    pub fn insert(&mut self, record: &Record) {
        let known = Known {
            accepted_at: record.accepted_at,
            order: record.order(),
            destination: record.request.destination(),
            report: Arc::new(record.report.clone()),
            sent: self.store.is_sent(&record.request.id),
        };
        self.jobs.insert(record.request.id.clone(), known);
    }

    /// The last report of a job, also of one that is known by its folder alone.
    pub fn report(&self, id: &Id) -> Option<Arc<DeployReport>> {
        if let Some(job) = self.jobs.get(id) {
            return Some(job.report.clone());
        }
        match self.store.job(id).record() {
            Ok(record) => Some(Arc::new(record.report)),
            // Once told, it was done: another go under its id must not begin.
            Err(error) if self.store.is_sent(id) => {
                tracing::warn!(%id, %error, "the report of an old job cannot be read");
                let status = Status::Failed;
                let message = "this job has ended, and its record can no longer be read";
                let report = DeployReport::new(self.hostname.clone(), status, message);
                let error = Some(ErrorCode::Interrupted);
                Some(Arc::new(DeployReport { id: Some(id.clone()), error, ..report }))
            }
            Err(_) => None,
        }
    }

    /// The last report of the newest job.
    pub fn newest(&self) -> Option<Arc<DeployReport>> {
        self.newest_of(Known::is_job).map(|(_, job)| job.report.clone())
    }

    /// The last report of the newest job that made `system` run, where one of ours did; a program in the place of our steps
    /// tells no system.
    pub fn deployed(&self, system: Option<&str>) -> Option<&DeployReport> {
        let made = self.newest_of(|job| job.deployed() && job.report.system.as_deref() == system);
        made.map(|(_, job)| &*job.report)
    }

    /// The jobs whose verdicts are still to be told: of all, or the one with this id.
    pub fn owed(&self, id: Option<&Id>, now: Timestamp) -> Vec<(Id, Known)> {
        let of = self.jobs.iter().filter(|(job, _)| id.is_none_or(|id| id == *job));
        of.filter(|(_, job)| job.is_owed(now)).map(|(id, job)| (id.clone(), job.clone())).collect()
    }

    /// Notes that the verdict of a job is known to have reached the server.
    pub fn sent(&mut self, id: &Id) {
        if let Some(job) = self.jobs.get_mut(id) {
            job.sent = true;
        }
    }

    /// Keeps of what is older what is still needed. Gives up the roots of all jobs but the last that changed what runs, which
    /// keeps what ran before it, and the last that only built; removes the folders that are older than a day.
    pub fn tidy(&mut self, now: Timestamp) {
        let newest = |builds| {
            self.newest_of(|job| job.is_job() && job.only_builds() == builds).map(|(id, _)| id.clone())
        };
        let rooted = [newest(false), newest(true)];
        let without_roots = |id: &&Id| !rooted.iter().flatten().any(|rooted| rooted == *id);
        self.jobs.keys().filter(without_roots).for_each(|id| self.store.drop_roots(id));

        let mut by_age: Vec<_> = self.jobs.iter().map(|(id, job)| (job.order, id.clone())).collect();
        by_age.sort_unstable_by(|a, b| b.cmp(a));
        let mut systems = HashSet::new();
        for (n, (_, id)) in by_age.into_iter().enumerate() {
            let job = &self.jobs[&id];
            let made = job.deployed() && systems.insert(job.report.system.clone());
            if n < NEWEST || !job.report.status.is_final() {
                continue;
            }
            if now.duration_since(job.accepted_at) > REMEMBERED {
                self.store.remove(&id);
                self.jobs.remove(&id);
            } else if !made
                && !rooted.contains(&Some(id.clone()))
                && !job.is_owed(now)
                && self.lies_on_disk(&id)
            {
                self.jobs.remove(&id);
            }
        }
        if self.swept_at.is_none_or(|at| now.duration_since(at) > SWEEP) {
            self.swept_at = Some(now);
            self.store.sweep(REMEMBERED, now, |id| self.jobs.contains_key(id));
        }
    }

    /// Whether its verdict can be read from its folder.
    fn lies_on_disk(&self, id: &Id) -> bool {
        self.store.is_sent(id) && self.store.job(id).record().is_ok_and(|record| record.is_final())
    }

    fn newest_of(&self, matches: impl Fn(&Known) -> bool) -> Option<(&Id, &Known)> {
        let jobs = self.jobs.iter().filter(|(_, job)| matches(job));
        jobs.max_by_key(|(_, job)| job.order)
    }
}
