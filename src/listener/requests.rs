//! Acts on requests: each gets exactly one answer, and at most one job runs.

use super::inbox::Arrived;
use super::job::{self, Handle, Job};
use super::metrics::Metrics;
use super::prover::Prover;
use super::reporter::Reporter;
use super::service::Service;
use super::{history, hold};
use crate::jobs::{Admission, DeployedCommits, Record, admit, now};
use crate::keys::{Refused, Taker, bounded, near};
use crate::protocol::{
    BadRequest, DeployReport, DeployRequest, Destination, ErrorCode, Id, PublicKey, ReplyTo, Status,
};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, spawn_blocking};

/// Kinds of lines that anyone who may send to this host can cause.
const REFUSED: &str = "refused a request";
const UNANSWERABLE: &str = "a request named no place to answer to";
/// How many lines of each kind are logged in ten seconds: more than people and scripts cause.
const MOST_REFUSED: u32 = 20;

/// Who has signed a request, where that is looked at.
#[derive(Default)]
struct Permit {
    key: Option<String>,
    /// It being noted that the request came.
    noted: Option<JoinHandle<()>>,
}

impl Service {
    /// Takes what arrived, or refuses it.
    pub(super) async fn on_arrival(&mut self, arrived: Arrived) {
        let Arrived { subject, reply, request, signer } = arrived;
        let request = match request {
            Ok(request) => request,
            Err(bad) => {
                let said = signer.err().map(|refused| self.message(&refused, &subject));
                let not_permitted =
                    |message| BadRequest { code: ErrorCode::NotPermitted, message, ..*bad.clone() };
                let bad = said.map_or_else(|| *bad.clone(), not_permitted);
                return self.on_bad_request(&bad, reply.as_deref()).await;
            }
        };
        match self.permit(&subject, &request, signer) {
            Ok(permit) => self.on_request(request, permit).await,
            Err((refused, permit)) => {
                let message = self.message(&refused, &subject);
                self.refuse(&request, permit, refused.code(), &message).await;
            }
        }
    }

    /// Why a request was refused, and what to do about it.
    fn message(&self, refused: &Refused, subject: &str) -> String {
        let host = &self.config.hostname;
        let service = format!("the listener on {host}");
        refused.message(Taker { name: host.as_str(), service: &service }, subject)
    }

    /// Whether a request may be acted on. It may where no key is trusted; else once, if a trusted key has signed it.
    fn permit(
        &mut self,
        subject: &str,
        request: &DeployRequest,
        signer: Result<Option<PublicKey>, Refused>,
    ) -> Result<Permit, (Refused, Permit)> {
        let unnoted = |refused| (refused, Permit::default());
        let key = signer.map_err(unnoted)?;
        let Some((key, seen)) = key.zip(self.seen.as_mut()) else { return Ok(Permit::default()) };
        let expires_at = bounded(request.issued_at, request.expires_at).map_err(unnoted)?;
        let mut permit = Permit { key: Some(key.as_str().to_owned()), noted: None };
        if seen.knows(subject, &request.id) {
            return Err((Refused::Replayed, permit));
        }
        let now = now();
        let note = seen.note(subject, &request.id, expires_at, now);
        permit.noted = Some(spawn_blocking(move || {
            if let Err(error) = note() {
                tracing::warn!(%error, "could not note that a signed request came; it could be used once more after a restart");
            }
        }));
        match near(expires_at, now) {
            Ok(()) => Ok(permit),
            Err(refused) => Err((refused, permit)),
        }
    }

    /// Takes a request, or refuses it.
    async fn on_request(&mut self, request: DeployRequest, permit: Permit) {
        let running = self.running.as_ref().map(|(id, _)| id.clone());
        let known = |id: &_| self.report_of(id);
        let actions = hold::actions(&*self.engine);
        let can = |action: &_| actions.contains(action);
        let admission = admit(&request, now(), known, running.as_ref(), can, self.refusal_while_held());
        let to = request.destination();
        match admission {
            Admission::Accept => self.begin(request, permit.key).await,
            Admission::Repeat(report) => self.say_noted(permit, to, report).await,
            Admission::Hold => self.hold_or_release(request, permit.key).await,
            Admission::Cancel => self.cancel(request).await,
            Admission::Cancelled(outcome) => {
                let report = cancel_report(&self.reporter, &request, outcome);
                self.count_refusal(&report);
                self.say_noted(permit, to, Arc::new(report)).await;
            }
            Admission::Reject(code, message) => self.refuse(&request, permit, code, &message).await,
        }
    }

    async fn refuse(&mut self, request: &DeployRequest, permit: Permit, code: ErrorCode, message: &str) {
        let key = permit.key.as_deref();
        if self.log_fold.allows(REFUSED, MOST_REFUSED) {
            tracing::info!(id = %request.id, %code, key, reason = message, "{REFUSED}");
        }
        let mut report = self.reporter.rejection(request, code, message);
        if report.error == Some(ErrorCode::AlreadyRunning) {
            report.running_job = self.running.as_ref().map(|(id, _)| id.clone());
        }
        self.count_refusal(&report);
        // Under the id of the job that runs it would be taken for the verdict of that.
        let runs = self.running.as_ref().filter(|(id, _)| *id == request.id);
        let report = runs.map_or_else(|| Arc::new(report), |(_, handle)| handle.report.borrow().clone());
        self.say_noted(permit, request.destination(), report).await;
    }

    /// Refuses what could not be read as a request, on the reply subject of the message where it names none itself.
    pub(super) async fn on_bad_request(&mut self, bad: &BadRequest, reply: Option<&str>) {
        let report = self.reporter.refusal(bad);
        self.count_refusal(&report);
        let reply = reply.and_then(|subject| ReplyTo::parse(subject).ok()).filter(|to| !to.is_for_answers());
        let reply = reply.map(|reply_to| Destination { reply_to, per_host: false });
        let Some(to) = bad.reply_to.clone().or(reply) else {
            self.unanswerable += 1;
            let count = self.unanswerable;
            if self.log_fold.allows(UNANSWERABLE, MOST_REFUSED) {
                tracing::warn!(code = %bad.code, reason = bad.message, count, "{UNANSWERABLE}");
            }
            return;
        };
        if self.log_fold.allows(REFUSED, MOST_REFUSED) {
            tracing::info!(id = %to.reply_to.id(), code = %bad.code, reason = bad.message, "{REFUSED}");
        }
        self.say(&to, &report).await;
    }

    /// Begins a job. Its own record remembers its id before anything is done.
    async fn begin(&mut self, request: DeployRequest, key: Option<String>) {
        let record = self.accept(request, key);
        let id = record.request.id.clone();
        tracing::info!(
            %id,
            action = %record.request.action,
            revision = record.report.revision.as_deref(),
            issuer = record.report.issuer.as_deref(),
            key = record.verified_key.as_deref(),
            "accepted a job"
        );
        // Told before the record is durable, so that nobody waits for a disk; `started` comes after.
        self.say(&record.request.destination(), &record.report).await;
        let job = self.occupy(id, record);
        self.work_on(job.run(self.engine.clone()));
    }

    /// The record of a request that is taken now.
    pub(super) fn accept(&self, request: DeployRequest, key: Option<String>) -> Record {
        let asked = request.timeout_s.map_or(self.config.timeout, Duration::from_secs);
        let timeout = asked.min(self.config.timeout);
        let mut record = job::accept(request, self.store.identity().starts, timeout, &self.reporter);
        record.verified_key = key;
        record.boot_id = self.engine.boot_id();
        record
    }

    /// Goes on with a job that another listener began: follows it where it was handed over, or does it again.
    pub(super) fn take_up(&mut self, record: Record, handed_over: bool) {
        let id = record.request.id.clone();
        let job = self.occupy(id, record);
        if handed_over {
            self.work_on(job.take_up(self.engine.clone()));
        } else {
            self.work_on(job.run(self.engine.clone()));
        }
    }

    /// Works on a job up to its line in the history and its count: whoever hears its verdict finds it there.
    fn work_on(&mut self, job: impl Future<Output = Record> + Send + 'static) {
        let (history, metrics) = (self.history.clone(), self.metrics.clone());
        let state_dir = self.config.state_dir.clone();
        self.work.spawn(async move {
            let record = job.await;
            note_deployed(&state_dir, &record).await;
            history::keep(history, &record).await;
            match metrics {
                Some(metrics) => count(metrics, record).await,
                None => record,
            }
        });
    }

    /// Counts a refused request. A cancel that was taken is counted as what became of its job.
    pub(super) fn count_refusal(&mut self, report: &DeployReport) {
        if let Some(metrics) = self.metrics.as_ref().filter(|_| report.status == Status::Rejected) {
            metrics.refuse(report);
            self.keep_refusals();
        }
    }

    /// Keeps the count of refused requests, in one go for all that come meanwhile.
    pub(super) fn keep_refusals(&mut self) {
        if let Some(metrics) = self.metrics.clone().filter(|metrics| metrics.has_refused())
            && self.keeping.is_empty()
        {
            self.keeping.spawn_blocking(move || metrics.keep());
        }
    }

    /// From here on this job runs and no other can.
    fn occupy(&mut self, id: Id, record: Record) -> Job {
        let (job, handle) = self.job(record);
        self.running = Some((id, handle));
        if let Some(metrics) = &self.metrics {
            metrics.set_in_progress(true);
        }
        job
    }

    fn job(&self, record: Record) -> (Job, Handle) {
        let asked = record.request.timeout_s.map_or(self.config.timeout, Duration::from_secs);
        let timeout = asked.min(self.config.timeout);
        let prover = Prover::new(self.config.clone(), self.store.identity().starts);
        Job::new(record, self.store.clone(), self.reporter.clone(), timeout, self.config.heartbeat, prover)
    }

    /// Hands a cancel to the job, which alone can decide; the answer comes in a task of its own.
    async fn cancel(&mut self, request: DeployRequest) {
        let Some((_, handle)) = &self.running else { return };
        let (answer_in, answer) = oneshot::channel();
        // Where the job has just ended nobody takes it, and the answer tells.
        let _ = handle.cancel.send(answer_in).await;
        let (reporter, metrics) = (self.reporter.clone(), self.metrics.clone());
        self.deliveries.spawn(async move {
            let ended = || Err((ErrorCode::TooLate, "the job has just ended".to_owned()));
            let report = cancel_report(&reporter, &request, answer.await.unwrap_or_else(|_| ended()));
            if let Some(metrics) = metrics.filter(|_| report.status == Status::Rejected) {
                metrics.refuse(&report);
                let _ = spawn_blocking(move || metrics.keep()).await;
            }
            // While the link is down the operator hears nothing, and asks once it is back.
            let _ = reporter.send(&request.destination(), &report).await;
            Vec::new()
        });
    }

    /// Says it once a restart cannot forget what it is about: what was refused must not be done later.
    async fn say_noted(&mut self, permit: Permit, to: Destination, report: Arc<DeployReport>) {
        let Some(noted) = permit.noted else { return self.say(&to, &report).await };
        let reporter = self.reporter.clone();
        self.deliveries.spawn(async move {
            let _ = noted.await;
            // While the link is down the operator hears nothing, and asks once it is back.
            let _ = reporter.send(&to, &report).await;
            Vec::new()
        });
    }

    pub(super) async fn say(&self, to: &Destination, report: &DeployReport) {
        // While the link is down the operator hears nothing, and asks once it is back.
        let _ = self.reporter.send(to, report).await;
    }
}

/// Notes what a job has deployed, before anybody hears that it has. If that fails, the next start catches up.
async fn note_deployed(state_dir: &Path, record: &Record) {
    let (state_dir, record) = (state_dir.to_owned(), record.clone());
    let _ = spawn_blocking(move || {
        if let Err(error) = DeployedCommits::note(&state_dir, &record) {
            tracing::error!(%error, "failed to note the deployed commit");
        }
    })
    .await;
}

pub(super) async fn count(metrics: Arc<Metrics>, mut record: Record) -> Record {
    let counted = spawn_blocking({
        let mut record = record.clone();
        move || {
            metrics.count(&mut record);
            record.counted
        }
    });
    record.counted = counted.await.unwrap_or(false);
    record
}

fn cancel_report(reporter: &Reporter, request: &DeployRequest, outcome: job::CancelAnswer) -> DeployReport {
    match outcome {
        Ok(message) => reporter.about(request, Status::Completed, &message),
        Err((code, message)) => reporter.rejection(request, code, &message),
    }
}
