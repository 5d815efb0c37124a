//! Handles requests: each gets exactly one reply, and at most one job runs.

use super::confirmer::Confirmer;
use super::hold;
use super::job::{self, Job, JobHandle};
use super::reporter::ListenerReporter;
use super::result_recorder::ResultRecorder;
use super::service::ListenerService;
use super::subscriptions::ReceivedRequest;
use crate::blocking::spawn_in_span;
use crate::clock::now;
use crate::jobs::{Admission, JobRecord, Recovery, admit, request_span};
use crate::keys::{Recipient, SignatureRejection, check_clock, check_lifetime};
use crate::protocol::{
    Action, DeployReport, DeployRequest, Destination, EngineKind, ErrorCode, Id, PublicKey, RejectedRequest,
    ReplyTo, Status,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, spawn_blocking, yield_now};
use tracing::Instrument;

/// The result of the signature check; empty if no keys are trusted.
#[derive(Default)]
struct SignatureCheck {
    /// The key that signed the request.
    key: Option<String>,
    /// The task that writes the request to the replay guard's file.
    recorded: Option<JoinHandle<()>>,
}

impl ListenerService {
    /// Handles a message on a deploy subject.
    pub(super) async fn on_received_request(&mut self, received: ReceivedRequest) {
        let ReceivedRequest { subject, reply, request, signer } = received;
        let request = match request {
            Ok(request) => request,
            Err(bad) => {
                let refusal = signer.err().map(|refused| self.message(&refused, &subject));
                let not_permitted =
                    |message| RejectedRequest { code: ErrorCode::NotPermitted, message, ..*bad.clone() };
                let bad = refusal.map_or_else(|| *bad.clone(), not_permitted);
                return self.on_bad_request(&bad, reply.as_deref()).await;
            }
        };
        let span = request_span(&request, &self.config.hostname);
        let answer = async {
            tracing::debug!(subject, "received a request");
            match self.check_signature(&subject, &request, signer) {
                Ok(check) => self.on_request(request, check).await,
                Err((refused, check)) => {
                    let message = self.message(&refused, &subject);
                    self.refuse(&request, check, refused.code(), &message).await;
                }
            }
        };
        answer.instrument(span).await;
    }

    /// Why a request was refused, and what to do about it.
    fn message(&self, refused: &SignatureRejection, subject: &str) -> String {
        let host = &self.config.hostname;
        let service = format!("the listener on {host}");
        refused.message(Recipient { name: host.as_str(), service: &service }, subject)
    }

    /// Whether a request may be acted on. Without trusted keys it may; otherwise only once, and only if a trusted key
    /// has signed it.
    fn check_signature(
        &mut self,
        subject: &str,
        request: &DeployRequest,
        signer: Result<Option<PublicKey>, SignatureRejection>,
    ) -> Result<SignatureCheck, (SignatureRejection, SignatureCheck)> {
        let unchecked = |refused| (refused, SignatureCheck::default());
        let key = signer.map_err(unchecked)?;
        let Some((key, replay_guard)) = key.zip(self.replay_guard.as_mut()) else {
            return Ok(SignatureCheck::default());
        };
        let expires_at = check_lifetime(request.issued_at, request.expires_at).map_err(unchecked)?;
        let mut check = SignatureCheck { key: Some(key.as_str().to_owned()), recorded: None };
        if replay_guard.contains(subject, &request.id) {
            return Err((SignatureRejection::Replayed, check));
        }
        let now = now();
        let persist = replay_guard.insert(subject, &request.id, expires_at, now);
        check.recorded = Some(spawn_in_span(move || {
            if let Err(error) = persist() {
                tracing::warn!(%error, "failed to record a signed request: it could be replayed after a restart");
            }
        }));
        match check_clock(expires_at, now) {
            Ok(()) => Ok(check),
            Err(refused) => Err((refused, check)),
        }
    }

    /// Admits or refuses a request.
    async fn on_request(&mut self, request: DeployRequest, check: SignatureCheck) {
        let running = self.running.as_ref().map(|(id, _)| id.clone());
        let known = |id: &_| self.report_of(id);
        let actions = hold::actions(&*self.engine);
        let can = |action: &_| actions.contains(action);
        let has_services = self.engine.kind() == Some(EngineKind::Compose);
        let held = self.held_message();
        let admission = admit(&request, now(), known, running.as_ref(), can, has_services, held);
        let to = request.destination();
        match admission {
            Admission::Accept => self.start_job(request, check.key).await,
            Admission::Repeat(report) => self.send_report_once_recorded(check, to, report).await,
            Admission::Hold => self.hold_or_release(request, check.key).await,
            Admission::Cancel => self.cancel(request).await,
            Admission::Cancelled(outcome) => {
                let report = cancel_report(&self.reporter, &request, outcome);
                self.count_refusal(&report);
                self.send_report_once_recorded(check, to, Arc::new(report)).await;
            }
            Admission::Reject(code, message) => self.refuse(&request, check, code, &message).await,
        }
    }

    async fn refuse(
        &mut self,
        request: &DeployRequest,
        check: SignatureCheck,
        code: ErrorCode,
        message: &str,
    ) {
        self.runtime.log_refused(None, check.key.as_deref(), &code, message);
        let mut report = self.reporter.rejection_report(request, code, message);
        if report.error == Some(ErrorCode::AlreadyRunning) {
            report.running_job = self.running.as_ref().map(|(id, _)| id.clone());
        }
        self.count_refusal(&report);
        // A rejection with the id of the running job would be taken for the result of that job.
        let runs = self.running.as_ref().filter(|(id, _)| *id == request.id);
        let report = runs.map_or_else(|| Arc::new(report), |(_, handle)| handle.report.borrow().clone());
        self.send_report_once_recorded(check, request.destination(), report).await;
    }

    /// Refuses a message that is not a valid request. The reply goes to `reply` if the message names no reply subject.
    pub(super) async fn on_bad_request(&mut self, bad: &RejectedRequest, reply: Option<&str>) {
        let report = self.reporter.bad_request_report(bad);
        self.count_refusal(&report);
        let reply = reply.and_then(|subject| ReplyTo::parse(subject).ok()).filter(|to| !to.is_for_replies());
        let reply = reply.map(|reply_to| Destination { reply_to, per_host: false });
        let Some(to) = bad.reply_to.clone().or(reply) else {
            return self.runtime.log_unanswerable(&bad.code, &bad.message);
        };
        self.runtime.log_refused(Some(to.reply_to.id()), None, &bad.code, &bad.message);
        self.send_report(&to, &report).await;
    }

    /// Starts a job. Its record is saved before anything else happens, so that its id is known.
    async fn start_job(&mut self, request: DeployRequest, key: Option<String>) {
        let record = self.accept(request, key);
        let id = record.request.id.clone();
        tracing::info!(
            revision = record.report.revision.as_deref(),
            issuer = record.report.issuer.as_deref(),
            key = record.verified_key.as_deref(),
            "accepted a job"
        );
        // Sent before the record is saved, so that operators do not wait for the disk; `started` follows the save.
        self.send_report(&record.request.destination(), &record.report).await;
        // Lets the connection's task send it before the work on the job starts.
        yield_now().await;
        let job = self.set_running(id, record);
        self.spawn_job(job.run(self.engine.clone()));
    }

    /// A record for a request that is accepted now.
    pub(super) fn accept(&self, request: DeployRequest, key: Option<String>) -> JobRecord {
        let requested = request.timeout_s.map_or(self.config.timeout, Duration::from_secs);
        let timeout = requested.min(self.config.timeout);
        let mut record = job::accept(request, self.store.dir.identity().starts, timeout, &self.reporter);
        record.verified_key = key;
        record.boot_id = self.engine.boot_id();
        let resumed = record.request.job.as_ref().filter(|_| record.request.action == Action::Resume);
        if let Some(resumed) = resumed.and_then(|job| self.jobs.report(job)) {
            // A resume continues at the commit of the earlier job, even if the branch has moved.
            record.report.revision.clone_from(&resumed.revision);
            record.report.commit.clone_from(&resumed.commit);
        }
        record
    }

    /// Takes over a job of a previous listener: follows it, resumes it, or otherwise restarts it.
    pub(super) fn attach(&mut self, record: JobRecord, recovery: &Recovery) {
        let id = record.request.id.clone();
        let job = self.set_running(id, record);
        match recovery {
            Recovery::Follow => self.spawn_job(job.attach(self.engine.clone())),
            Recovery::Resume => self.spawn_job(job.resume(self.engine.clone())),
            _ => self.spawn_job(job.run(self.engine.clone())),
        }
    }

    /// Runs a job in the current span, then adds it to the history and the metrics before its result is delivered.
    fn spawn_job(&mut self, job: impl Future<Output = JobRecord> + Send + 'static) {
        let recorder = self.result_recorder();
        // Boxed, because a future contains each future that it awaits twice.
        let job = Box::pin(job);
        let work = async move { recorder.record(job.await).await };
        self.work.spawn(work.in_current_span());
    }

    pub(super) fn result_recorder(&self) -> ResultRecorder {
        let (history, metrics) = (self.history.clone(), self.metrics.clone());
        ResultRecorder { state_dir: self.config.state_dir.clone(), history, metrics }
    }

    /// Counts a refused request. A cancel that succeeds counts through its job.
    pub(super) fn count_refusal(&mut self, report: &DeployReport) {
        if let Some(metrics) = self.metrics.as_ref().filter(|_| report.status == Status::Rejected) {
            metrics.jobs.refuse(report);
            self.persist_refusals();
        }
    }

    /// Persists the count of refused requests. Requests that arrive during a write share the next one.
    pub(super) fn persist_refusals(&mut self) {
        if let Some(metrics) = self.metrics.clone().filter(|metrics| metrics.jobs.has_refused())
            && self.refusal_write.is_empty()
        {
            self.refusal_write.spawn_blocking(move || metrics.jobs.persist());
        }
    }

    /// Makes this the running job.
    fn set_running(&mut self, id: Id, record: JobRecord) -> Job {
        let (job, handle) = self.new_job(record);
        self.running = Some((id, handle));
        if let Some(metrics) = &self.metrics {
            metrics.set_in_progress(true);
        }
        job
    }

    fn new_job(&self, record: JobRecord) -> (Job, JobHandle) {
        let requested = record.request.timeout_s.map_or(self.config.timeout, Duration::from_secs);
        let timeout = requested.min(self.config.timeout);
        let confirmer = Confirmer::new(self.config.clone(), self.store.dir.identity().starts);
        Job::new(record, self.store.clone(), self.reporter.clone(), timeout, self.config.heartbeat, confirmer)
    }

    /// Passes a cancel to the job, which decides about it. The reply is sent by a separate task.
    async fn cancel(&mut self, request: DeployRequest) {
        let Some((_, handle)) = &self.running else { return };
        let (decision_sender, decision) = oneshot::channel();
        // If the job has just ended, the sender is dropped and the reply below says so.
        let _ = handle.cancel.send(decision_sender).await;
        let (reporter, metrics) = (self.reporter.clone(), self.metrics.clone());
        self.runtime.deliveries.spawn(async move {
            let ended = || Err((ErrorCode::TooLate, "the job has just ended".to_owned()));
            let report = cancel_report(&reporter, &request, decision.await.unwrap_or_else(|_| ended()));
            if let Some(metrics) = metrics.filter(|_| report.status == Status::Rejected) {
                metrics.jobs.refuse(&report);
                let _ = spawn_blocking(move || metrics.jobs.persist()).await;
            }
            // If the connection is down the report is lost; the operator queries it after reconnecting.
            let _ = reporter.send_report(&request.destination(), &report).await;
            Vec::new()
        });
    }

    /// Sends a report after the request is recorded, so that a refused request stays refused after a restart.
    async fn send_report_once_recorded(
        &mut self,
        check: SignatureCheck,
        to: Destination,
        report: Arc<DeployReport>,
    ) {
        let Some(recorded) = check.recorded else { return self.send_report(&to, &report).await };
        let reporter = self.reporter.clone();
        self.runtime.deliveries.spawn(async move {
            let _ = recorded.await;
            // If the connection is down the report is lost; the operator queries it after reconnecting.
            let _ = reporter.send_report(&to, &report).await;
            Vec::new()
        });
    }

    pub(super) async fn send_report(&self, to: &Destination, report: &DeployReport) {
        // If the connection is down the report is lost; the operator queries it after reconnecting.
        let _ = self.reporter.send_report(to, report).await;
    }
}

fn cancel_report(
    reporter: &ListenerReporter,
    request: &DeployRequest,
    outcome: job::CancelReply,
) -> DeployReport {
    match outcome {
        Ok(message) => reporter.report_on(request, Status::Completed, &message),
        Err((code, message)) => reporter.rejection_report(request, code, &message),
    }
}
