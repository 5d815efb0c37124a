//! Handles build requests and their progress. Each request gets exactly one result.

use super::admission::admit;
use super::build::{FinishedBuild, RepoBuild};
use super::queue::{BuildJob, RepoQueue};
use super::record::{BuildRecord, build_span, failed_report, new_report, report_of_state};
use super::service::BuilderService;
use super::state::{BuildState, RepoBuildResult};
use super::subscriptions::{RECIPIENT, ReceivedBuildRequest, UnreadableRequest, reply_id};
use crate::clock::now;
use crate::git::PreviousCommits;
use crate::keys::{SignatureRejection, check_clock, check_lifetime};
use crate::nix::{LockedFlake, resolve, resolve_allowed};
use crate::protocol::{BuildReport, BuildStatus, ErrorCode, Id, Name, PublicKey};
use std::time::Duration;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tracing::Instrument;

/// Maximum time for a remote to resolve a branch.
const LOOKUP_TIMEOUT: Duration = Duration::from_mins(2);

/// The commit of a job's branch, or why it is unknown.
pub(super) struct ResolvedCommit {
    repo: Name,
    id: Id,
    locked: Result<LockedFlake, (ErrorCode, String)>,
}

/// Checks that a request may be executed and returns the key that signed it. Without trusted keys, every request may.
/// With trusted keys, it must be signed by one of them and expire within a few minutes. A replay is impossible because
/// the record of its id is kept for longer.
fn check_permission(received: &ReceivedBuildRequest) -> Result<Option<PublicKey>, SignatureRejection> {
    let Some(key) = received.signer.clone()? else { return Ok(None) };
    let expires_at = check_lifetime(received.request.issued_at, received.request.expires_at)?;
    check_clock(expires_at, now())?;
    Ok(Some(key))
}

impl BuilderService {
    /// Accepts or rejects a request.
    pub(super) async fn on_request(&mut self, received: ReceivedBuildRequest) {
        // The parser has checked both: the id is in the request or in its reply subject.
        let Some(reply_to) = reply_id(&received.request.reply_to) else { return };
        let id = received.request.id.clone().unwrap_or_else(|| reply_to.clone());
        let named = received.request.repo.as_ref().or(received.repo.as_ref());
        let repo = named.or(self.rules.default.as_ref());
        let span = build_span(&id, repo, &received.request.target);
        self.on_readable_request(received, id, reply_to).instrument(span).await;
    }

    async fn on_readable_request(&mut self, received: ReceivedBuildRequest, id: Id, reply_to: Id) {
        tracing::debug!(subject = received.subject, "received a request");
        if let Some(report) = self.current_report(&id) {
            let _ = self.reporter.send(&reply_to, &report).await;
            return;
        }
        let key = match check_permission(&received) {
            Ok(key) => key,
            Err(refused) => {
                let message = refused.message(RECIPIENT, &received.subject);
                return self.reject(&received, id, reply_to, None, (refused.code(), message)).await;
            }
        };
        let key = key.as_ref().map(PublicKey::as_str);
        let open = self.queues.values().flat_map(RepoQueue::jobs).count();
        let admitted = admit(&received, &self.rules, open, now());
        let (repo, branch) = match admitted {
            Ok(admitted) => admitted,
            Err(refusal) => return self.reject(&received, id, reply_to, key, refusal).await,
        };
        let request = received.request;
        let target = request.target;
        let mut record = BuildRecord {
            report: BuildReport::new(target.as_str(), BuildStatus::Started, ""),
            id,
            reply_to,
            repo,
            target,
            branch,
            issuer: request.issuer,
            accepted_at: now(),
            commit: None,
            ended_at: None,
            delivered: false,
        };
        let message = format!("looking up {} in {}", record.branch, record.repo);
        record.report = new_report(&record, BuildStatus::Started, message);
        self.reporter.stamp(&mut record.report);
        let issuer = record.issuer.as_deref();
        tracing::info!(branch = %record.branch, issuer, key, "accepted a build");
        if let Err(why) = self.save(&record).await {
            tracing::error!(reason = why, "failed to save build record");
            let mut report = failed_report(&record, ErrorCode::Unhealthy, why);
            report.status = BuildStatus::Rejected;
            self.reporter.stamp(&mut report);
            let _ = self.reporter.send(&record.reply_to, &report).await;
            return;
        }
        let _ = self.reporter.send(&record.reply_to, &record.report).await;
        self.enqueue(BuildJob::new(record));
    }

    /// Rejects an unreadable request. Falls back to the NATS reply subject if the request names none.
    pub(super) async fn on_bad_request(&mut self, request: &UnreadableRequest, reply: Option<&str>) {
        let Some(to) = request.reply_to.clone().or_else(|| reply.and_then(reply_id)) else {
            return self.runtime.log_unanswerable(&request.code, &request.message);
        };
        self.runtime.log_refused(Some(&to), None, &request.code, &request.message);
        let _ = self.reporter.send(&to, &self.reporter.rejection(request)).await;
    }

    async fn reject(
        &mut self,
        received: &ReceivedBuildRequest,
        id: Id,
        to: Id,
        key: Option<&str>,
        (code, message): (ErrorCode, String),
    ) {
        self.runtime.log_refused(None, key, &code, &message);
        let target = received.request.target.clone();
        let mut report = self.reporter.rejection(&UnreadableRequest {
            code,
            message,
            target,
            id: Some(id),
            reply_to: Some(to.clone()),
        });
        report.repo = received.repo.clone().or_else(|| received.request.repo.clone());
        let _ = self.reporter.send(&to, &report).await;
    }

    /// The latest report of an open or finished job.
    fn current_report(&self, id: &Id) -> Option<BuildReport> {
        let open = self.queues.values().flat_map(RepoQueue::jobs).find(|job| job.id() == id);
        open.map(|job| job.report().clone())
            .or_else(|| self.unsaved.get(id).map(|record| record.report.clone()))
            .or_else(|| self.store.record(id).map(|record| record.report))
    }

    /// Adds a job to the queue of its repository and starts to resolve its branch.
    pub(super) fn enqueue(&mut self, job: BuildJob) {
        let Some(known) = self.rules.repos.get(job.repo()).cloned() else { return };
        let (repo, id) = (job.repo().clone(), job.id().clone());
        let (branch, commit) = (job.record.branch.clone(), job.record.commit.clone());
        let lookup_slots = self.lookup_slots.clone();
        let policy = self.store.commit_policy(&repo);
        let history = self.histories.get(&repo).cloned().unwrap_or_default();
        let lookup = async move {
            // The semaphore is never closed.
            let _slot = lookup_slots.acquire_owned().await;
            let lookup = async {
                if !branch.is_commit() {
                    return resolve(&known.url, &branch, commit.as_deref()).await;
                }
                let _alone = history.lock().await;
                let any = PreviousCommits { allow_older: true, ..PreviousCommits::default() };
                resolve_allowed(&known.url, &branch, commit.as_deref(), &policy, &any).await
            };
            let answer = timeout(LOOKUP_TIMEOUT, lookup).await;
            let locked = match answer {
                Ok(Ok(locked)) => Ok(locked),
                Ok(Err(error)) => Err((error.code(), error.to_string())),
                Err(_) => {
                    let flake = known.url.without_credentials();
                    let why = format!(
                        "no answer from {flake} about {branch} within {} s",
                        LOOKUP_TIMEOUT.as_secs()
                    );
                    Err((ErrorCode::Timeout, why))
                }
            };
            ResolvedCommit { repo, id, locked }
        };
        self.resolving.spawn(lookup.instrument(job.record.span()));
        self.queues.entry(job.repo().clone()).or_default().add(job);
    }

    /// Handles the resolved commit of a job.
    pub(super) async fn on_resolved(&mut self, ResolvedCommit { repo, id, locked }: ResolvedCommit) {
        let Some(queue) = self.queues.get_mut(&repo) else { return };
        let locked = match locked {
            Ok(locked) => locked,
            Err((code, why)) => {
                if let Some(job) = queue.remove(&id) {
                    let report = failed_report(&job.record, code, why);
                    self.finish(job.record, report).await;
                }
                return self.start_next(&repo);
            }
        };
        let before = queue.running.as_ref().map(|running| running.key.clone());
        let Some(job) = queue.lock(&id, locked) else { return };
        let message = match &before {
            None => "starting build".to_owned(),
            Some(key) => format!("waiting for the build of {} at {}", key.target, key.commit),
        };
        self.reporter.set_progress(&mut job.record, &message);
        let record = job.record.clone();
        if let Err(error) = self.save(&record).await {
            // After a restart, the branch is resolved again.
            record.span().in_scope(|| tracing::warn!(error, "failed to save the commit of a build"));
        }
        let _ = self.reporter.send(&record.reply_to, &record.report).await;
        let running = self.queues.get(&repo).and_then(|queue| queue.running.as_ref());
        if let Some(running) = running.filter(|running| running.jobs.iter().any(|job| *job.id() == id)) {
            // The job has joined a running build, so it reports that build's state.
            let state = running.state.clone();
            self.on_state(&repo, state, Some(&id)).await;
        }
        self.start_next(&repo);
    }

    /// Starts the next build of a repository.
    fn start_next(&mut self, repo: &Name) {
        let Some(known) = self.rules.repos.get(repo) else { return };
        let Some(running) = self.queues.get_mut(repo).and_then(RepoQueue::start_next) else { return };
        let Some(job) = running.jobs.first() else { return };
        let Some(locked) = job.locked.clone() else { return };
        let span = job.record.span();
        span.in_scope(|| tracing::info!(commit = running.key.commit, "starting build"));
        let build = RepoBuild {
            name: repo.clone(),
            repo: known.clone(),
            is_default: job.record.branch == known.branch,
            locked,
            key: running.key.clone(),
            rules: self.rules.clone(),
            engine: self.engine.clone(),
            store: self.store.clone(),
            slots: self.slots.clone(),
            stop: self.stop.clone(),
        };
        let (state_sender, repo) = (self.state_sender.clone(), repo.clone());
        let work = async move {
            let finished =
                tokio::spawn(build.run(state_sender).in_current_span()).await.unwrap_or_else(|error| {
                    let message = format!("the build task crashed: {error}");
                    let result = Some(RepoBuildResult { error: Some(ErrorCode::Internal), message });
                    Some((BuildState { result, ..BuildState::default() }, std::collections::BTreeSet::new()))
                });
            (repo, finished)
        };
        self.builds.spawn(work.instrument(span));
    }

    /// Reports a new build state to all its jobs, or only to the job `only`. Some jobs may finish with it.
    pub(super) async fn on_state(&mut self, repo: &Name, state: BuildState, only: Option<&Id>) {
        let Some(running) = self.queues.get_mut(repo).and_then(|queue| queue.running.as_mut()) else {
            return;
        };
        running.state = state;
        let mut finished_jobs = Vec::new();
        let all = running.jobs.iter_mut().enumerate();
        for (at, job) in all.filter(|(_, job)| only.is_none_or(|id| id == job.id())) {
            let mut report = report_of_state(&job.record, &running.state);
            // The first job owns the build and finishes when the complete build has ended.
            if report.status.is_final() && at > 0 {
                finished_jobs.push((at, report));
                continue;
            }
            self.reporter.stamp(&mut report);
            let _ = self.reporter.send(&job.record.reply_to, &report).await;
            job.record.report = report;
        }
        let mut finished = Vec::new();
        for (at, report) in finished_jobs.into_iter().rev() {
            finished.push((running.jobs.remove(at), report));
        }
        for (job, report) in finished {
            self.finish(job.record, report).await;
        }
    }

    /// Handles the end of a build.
    pub(super) async fn on_finished(&mut self, repo: &Name, finished: Option<FinishedBuild>) {
        // The builder is stopping; the next start resumes the build.
        let Some(finished) = finished else { return };
        let Some(running) = self.queues.get_mut(repo).and_then(|queue| queue.running.take()) else { return };
        let leader = running.jobs.first().map(|job| job.id().clone());
        if let Some((metrics, id)) = self.metrics.clone().zip(leader.clone()) {
            let (repo, finished, key) = (repo.clone(), finished.clone(), running.key.clone());
            let _ = spawn_blocking(move || metrics.count(&id, &repo, &key, &finished)).await;
        }
        // The job that owns the build is finished last: while it is open, the build is not counted twice.
        for job in running.jobs.into_iter().rev() {
            let report = report_of_state(&job.record, &finished.0);
            self.finish(job.record, report).await;
        }
        if let Some(metrics) = &self.metrics {
            metrics.noted(|id| Some(id) != leader.as_ref());
        }
        self.start_next(repo);
    }

    pub(super) async fn save(&self, record: &BuildRecord) -> Result<(), String> {
        let (store, record) = (self.store.clone(), record.clone());
        match spawn_blocking(move || store.save(&record)).await {
            Ok(saved) => saved.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }
}
