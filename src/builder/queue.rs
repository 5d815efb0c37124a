//! The build queue of one repository: one build runs, the other jobs wait in order of arrival. Pure data.

use super::record::BuildRecord;
use super::state::BuildState;
use crate::nix::LockedFlake;
use crate::protocol::{BuildReport, Id, Name};
use crate::text::format;
use std::collections::{BTreeMap, VecDeque};

/// Whether a target means every host.
pub(super) fn is_all(target: &str) -> bool {
    target == "all"
}

/// What a build produces. The same commit and target are built once, for all jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BuildKey {
    pub(super) commit: String,
    /// A host, or `all`.
    pub(super) target: String,
}

impl BuildKey {
    /// Whether a build of `self` also builds `other`.
    fn covers(&self, other: &Self) -> bool {
        self.commit == other.commit && (self.target == other.target || is_all(&self.target))
    }
}

/// A job that has not finished.
#[derive(Debug, Clone)]
pub(super) struct BuildJob {
    pub(super) record: BuildRecord,
    /// The commit to build, once the branch is resolved.
    pub(super) locked: Option<LockedFlake>,
}

impl BuildJob {
    pub(super) fn new(record: BuildRecord) -> Self {
        Self { record, locked: None }
    }

    pub(super) fn id(&self) -> &Id {
        &self.record.id
    }

    pub(super) fn repo(&self) -> &Name {
        &self.record.repo
    }

    pub(super) fn report(&self) -> &BuildReport {
        &self.record.report
    }

    /// What to build, once the commit is known.
    pub(super) fn key(&self) -> Option<BuildKey> {
        let commit = self.locked.as_ref()?.commit.clone()?;
        Some(BuildKey { commit, target: self.record.target.clone() })
    }
}

/// The running build and all jobs that wait for it; the first job owns the build.
#[derive(Debug)]
pub(super) struct RunningBuild {
    pub(super) key: BuildKey,
    pub(super) jobs: Vec<BuildJob>,
    pub(super) state: BuildState,
}

/// The builds of one repository.
#[derive(Debug, Default)]
pub(super) struct RepoQueue {
    pub(super) running: Option<RunningBuild>,
    /// Waiting builds, each with its jobs; the first job owns the build.
    waiting: VecDeque<Vec<BuildJob>>,
}

impl RepoQueue {
    /// Adds a job at the end of the queue.
    pub(super) fn add(&mut self, job: BuildJob) {
        self.waiting.push_back(vec![job]);
    }

    /// Sets the commit of a job. If a running or waiting build covers it, the job joins that build. Returns the job.
    pub(super) fn lock(&mut self, id: &Id, locked: LockedFlake) -> Option<&mut BuildJob> {
        let at = self.waiting.iter().position(|group| group.iter().any(|job| job.id() == id))?;
        // The job is alone in its group, because only jobs with a known commit join others.
        let job = self.waiting[at].first_mut()?;
        job.record.commit.clone_from(&locked.commit);
        job.locked = Some(locked);
        let key = job.key()?;
        let covers = |group: &Vec<BuildJob>| {
            let leader = group.first().and_then(BuildJob::key);
            leader.is_some_and(|leader| leader.covers(&key))
        };
        if self.running.as_ref().is_some_and(|running| running.key.covers(&key)) {
            let job = self.waiting.remove(at)?.pop()?;
            let jobs = &mut self.running.as_mut()?.jobs;
            jobs.push(job);
            return jobs.last_mut();
        }
        let other = (0..self.waiting.len()).find(|other| *other != at && covers(&self.waiting[*other]));
        let Some(other) = other else { return self.waiting[at].first_mut() };
        let job = self.waiting.remove(at)?.pop()?;
        let other = if other > at { other - 1 } else { other };
        self.waiting[other].push(job);
        self.waiting[other].last_mut()
    }

    /// Removes a waiting job.
    pub(super) fn remove(&mut self, id: &Id) -> Option<BuildJob> {
        let at = self.waiting.iter().position(|group| group.iter().any(|job| job.id() == id))?;
        let group = &mut self.waiting[at];
        let job = group.remove(group.iter().position(|job| job.id() == id)?);
        if group.is_empty() {
            self.waiting.remove(at);
        }
        Some(job)
    }

    /// Starts the next build if none is running and its commit is known.
    pub(super) fn start_next(&mut self) -> Option<&RunningBuild> {
        if self.running.is_some() {
            return None;
        }
        let key = self.waiting.front()?.first()?.key()?;
        let jobs = self.waiting.pop_front()?;
        self.running = Some(RunningBuild { key, jobs, state: BuildState::default() });
        self.running.as_ref()
    }

    /// All jobs that have not finished.
    pub(super) fn jobs(&self) -> impl Iterator<Item = &BuildJob> {
        self.running.iter().flat_map(|running| &running.jobs).chain(self.waiting())
    }

    /// All waiting jobs.
    pub(super) fn waiting(&self) -> impl Iterator<Item = &BuildJob> {
        self.waiting.iter().flatten()
    }

    /// All waiting jobs, mutably.
    pub(super) fn waiting_mut(&mut self) -> impl Iterator<Item = &mut BuildJob> {
        self.waiting.iter_mut().flatten()
    }
}

/// The running builds and the number of waiting jobs.
pub(super) fn status_line(queues: &BTreeMap<Name, RepoQueue>) -> String {
    let running: Vec<_> = queues
        .iter()
        .filter_map(|(repo, queue)| {
            let key = &queue.running.as_ref()?.key;
            Some(format!("{} of {repo} at {}", key.target, format::short_commit(&key.commit)))
        })
        .collect();
    let waiting = queues.values().flat_map(RepoQueue::waiting).count();
    let waiting = if waiting > 0 { format!("; {waiting} waiting") } else { String::new() };
    match running.as_slice() {
        [] => format!("idle{waiting}"),
        running => format!("building {}{waiting}", running.join(", ")),
    }
}
