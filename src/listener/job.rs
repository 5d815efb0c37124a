//! One running job: folds the engine's events into the record, reports to operators, and decides about timeout and
//! cancel.

use super::confirmer::Confirmer;
use super::live_log::LiveLog;
use super::reporter::ListenerReporter;
use crate::activation::{
    Engine, JobEvent, JobEvents, JobFailure, JobFuture, JobResult, JobSpec, collect_diagnostics,
    save_diagnostics,
};
use crate::clock::now;
use crate::jobs::{JobRecord, JobStore};
use crate::protocol::{
    Action, ComponentState, DeployReport, DeployRequest, ErrorCode, PhaseName, PhaseState, Phases, Status,
};
use crate::state_dir::StoreError;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::Span;

/// Minimum interval between two progress reports.
const MIN_REPORT_INTERVAL: Duration = Duration::from_millis(250);

/// What to do about a build that timed out.
const BUILD_TIMEOUT_ADVICE: &str = "; finished builds and downloads are kept, so deploy again to continue, or raise \
                                    `--timeout` of the listener";

/// Whether a cancel succeeds, or why not.
pub(super) type CancelReply = Result<String, (ErrorCode, String)>;

/// The service's handle of the running job.
pub(super) struct JobHandle {
    /// Requests a cancel.
    pub(super) cancel: mpsc::Sender<oneshot::Sender<CancelReply>>,
    /// The last report.
    pub(super) report: watch::Receiver<Arc<DeployReport>>,
    /// The span of the job.
    pub(super) span: Span,
}

/// A job that is about to run.
pub(super) struct Job {
    record: JobRecord,
    store: Arc<JobStore>,
    reporter: ListenerReporter,
    cancel: mpsc::Receiver<oneshot::Sender<CancelReply>>,
    report: watch::Sender<Arc<DeployReport>>,
    timeout: Duration,
    heartbeat: Duration,
    started_at: Instant,
    phase_started_at: Instant,
    /// Why it was requested to stop.
    stopping: Option<ErrorCode>,
    /// Whether the engine has stopped the job.
    stopped: bool,
    /// Whether the worker owns the record: this job then only follows it.
    handed_over: bool,
    /// Confirms the connection when the worker requests it.
    confirmer: Confirmer,
    /// The nonce that operators who follow the job must send back.
    confirm: watch::Receiver<Option<String>>,
    /// Pending cancel requests, each waiting for the decision.
    cancel_waiters: Vec<oneshot::Sender<CancelReply>>,
    final_message: Option<String>,
    /// The diagnostics that the engine has collected.
    diagnostics: Option<String>,
    live_log: LiveLog,
}

impl Job {
    /// A job of the current span.
    pub(super) fn new(
        record: JobRecord,
        store: Arc<JobStore>,
        reporter: ListenerReporter,
        timeout: Duration,
        heartbeat: Duration,
        confirmer: Confirmer,
    ) -> (Self, JobHandle) {
        let (cancel_in, cancel) = mpsc::channel(8);
        let (report, report_out) = watch::channel(Arc::new(record.report.clone()));
        // A resumed job started before this process.
        let age = Duration::try_from(now().duration_since(record.accepted_at)).unwrap_or_default();
        let started_at = Instant::now().checked_sub(age).unwrap_or_else(Instant::now);
        let handed_over = record.handover.is_some();
        let job = Self {
            record,
            store,
            reporter,
            cancel,
            report,
            timeout,
            heartbeat,
            started_at,
            phase_started_at: Instant::now(),
            stopping: None,
            stopped: false,
            handed_over,
            confirm: confirmer.nonce_receiver(),
            confirmer,
            cancel_waiters: Vec::new(),
            final_message: None,
            diagnostics: None,
            live_log: LiveLog::new(),
        };
        (job, JobHandle { cancel: cancel_in, report: report_out, span: Span::current() })
    }

    /// Runs the job until it has a result, and returns the record; the caller delivers the result.
    pub(super) async fn run(mut self, engine: Arc<dyn Engine>) -> JobRecord {
        // Send `accepted` before waiting for a slow disk.
        self.reporter.flush().await;
        let result = match self.save().await {
            Ok(()) => {
                self.record.report.status = Status::Started;
                "started".clone_into(&mut self.record.report.message);
                self.stamp();
                self.publish_report().await;
                let work = |spec, events, stop| engine.run(spec, events, stop);
                self.work(work).await
            }
            Err(error) => Err(JobFailure::new(ErrorCode::Unhealthy, error.to_string())),
        };
        self.finish(result, &*engine).await
    }

    /// Resumes a job that was handed over and returns its record. The worker continues, or a new one is started to
    /// recover.
    pub(super) async fn attach(mut self, engine: Arc<dyn Engine>) -> JobRecord {
        let work = |spec, events, stop| engine.follow(spec, events, stop);
        let result = self.work(work).await;
        self.finish(result, &*engine).await
    }

    /// Resumes a job that had started to change the host, and returns its record.
    pub(super) async fn resume(mut self, engine: Arc<dyn Engine>) -> JobRecord {
        let record = Box::new(self.record.clone());
        // The count of restarts limits how often a job that kills its listener is resumed.
        let result = match self.save().await {
            Ok(()) => {
                let work = |spec, events, stop| engine.resume(spec, record, events, stop);
                self.work(work).await
            }
            Err(error) => Err(JobFailure::new(ErrorCode::Interrupted, error.to_string())),
        };
        self.finish(result, &*engine).await
    }

    async fn finish(mut self, result: JobResult, engine: &dyn Engine) -> JobRecord {
        // A result from the worker is kept unchanged.
        let is_ours = !(self.handed_over && self.record.is_final());
        let skipped = self.live_log.skipped_count();
        if skipped > 0 {
            tracing::info!(skipped, "skipped lines of the live log; `logs` shows them");
        }
        if is_ours {
            self.set_result(result, engine).await;
        }
        self.stamp();
        let mut saved = self.save().await;
        if is_ours {
            // An engine may have reserved space in case the disk is full.
            self.store.job(&self.record.request.id).release_reserve();
            if saved.is_err() {
                saved = self.save().await;
            }
        }
        if let Err(error) = saved {
            tracing::error!(%error, "failed to save the result of a job");
            // The next start would resume a job with an unfinished record and produce a second result.
            if is_ours && let Err(error) = self.store.quarantine(&self.record.request.id) {
                tracing::error!(%error, "failed to quarantine the unfinished record of a job");
            }
        }
        self.record
    }

    async fn work(
        &mut self,
        work: impl FnOnce(JobSpec, JobEvents, CancellationToken) -> JobFuture,
    ) -> JobResult {
        let id = self.record.request.id.clone();
        let resumed = self.read_resumed().await.map_err(|error| {
            let message = format!("could not read the record of the job to continue: {error}");
            JobFailure::new(ErrorCode::NotFound, message)
        })?;
        let mut request = self.record.request.clone();
        // A restarted job builds the commit that was reported, even if the branch has moved.
        let resolved = || self.record.report.commit.as_ref().map(ToString::to_string);
        request.commit = request.commit.or_else(resolved);
        let spec = JobSpec {
            services: request.services.clone(),
            prune: request.prune == Some(true),
            resumed,
            request,
            dir: self.store.job(&id),
            reachable: self.reporter.reachability_probe(),
            peers: self.confirmer.baseline_probe(),
            timeout: self.timeout,
        };
        let (events, mut events_rx) = mpsc::channel(64);
        let stop = CancellationToken::new();
        let mut work = work(spec, events, stop.clone());
        let deadline = sleep_until(self.started_at + self.timeout);
        tokio::pin!(deadline);
        let mut next_report = Instant::now() + self.heartbeat;
        let mut last_report = Instant::now();
        loop {
            let may_stop = self.stopping.is_none();
            tokio::select! {
                biased;
                Some(event) = events_rx.recv() => {
                    if self.apply(event).await {
                        next_report = next_report.min(last_report + MIN_REPORT_INTERVAL);
                    }
                }
                result = &mut work => {
                    while let Ok(event) = events_rx.try_recv() {
                        self.apply(event).await;
                    }
                    self.publish_last_line().await;
                    self.stopped |= result.as_ref().is_err_and(|failure| failure.code == ErrorCode::Cancelled);
                    if self.stopped {
                        self.reply_to_cancel();
                    }
                    return result.map_err(|failure| self.with_stop_reason(failure));
                }
                Some(waiter) = self.cancel.recv() => {
                    self.cancel_waiters.push(waiter);
                    if self.stopped || !self.can_stop() {
                        self.reply_to_cancel();
                    } else {
                        // Only the engine knows whether it can still stop; its next event decides.
                        self.stopping.get_or_insert(ErrorCode::Cancelled);
                        stop.cancel();
                    }
                }
                Ok(()) = self.confirm.changed() => {
                    next_report = next_report.min(last_report + MIN_REPORT_INTERVAL);
                }
                () = &mut deadline, if may_stop && self.can_stop() => {
                    self.stopping = Some(ErrorCode::Timeout);
                    stop.cancel();
                }
                () = sleep_until(self.live_log.next_due().unwrap_or(next_report)), if self.live_log.next_due().is_some() => {
                    self.publish_last_line().await;
                }
                () = sleep_until(next_report) => {
                    self.record.report.status = Status::Running;
                    self.stamp();
                    self.publish_report().await;
                    last_report = Instant::now();
                    next_report = last_report + self.heartbeat;
                }
            }
        }
    }

    /// Reads the record of the job that a resume continues, and takes over which services it was about.
    async fn read_resumed(&mut self) -> Result<Option<Box<JobRecord>>, StoreError> {
        let request = &mut self.record.request;
        let Some(id) = request.job.clone().filter(|_| request.action == Action::Resume) else {
            return Ok(None);
        };
        let dir = self.store.job(&id);
        let read = tokio::task::spawn_blocking(move || dir.record()).await;
        let resumed = read.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
        request.services.clone_from(&resumed.request.services);
        request.prune = resumed.request.prune;
        Ok(Some(Box::new(resumed)))
    }

    /// Applies an event. Returns whether operators should get a report soon.
    async fn apply(&mut self, event: JobEvent) -> bool {
        let report = &mut self.record.report;
        match event {
            JobEvent::PhaseStarted(phase) => {
                set_elapsed(&mut report.phases, self.phase_started_at);
                if !report.phases.enter(&phase) {
                    return false;
                }
                self.phase_started_at = Instant::now();
                tracing::debug!(%phase, "entered a phase");
                if phase != PhaseName::Build {
                    report.progress = None;
                }
                report.message = phase.to_string();
                if !self.can_stop() {
                    self.reply_to_cancel();
                }
                // After a crash the record shows how far the job was.
                self.save_progress("a phase").await;
            }
            JobEvent::Progress(progress) => report.progress = Some(Box::new(progress)),
            JobEvent::Origin(origin) => {
                self.record.deployed = Some(origin);
                return false;
            }
            JobEvent::Commit(commit) => {
                report.commit = Some(commit.into());
                // The build must use the reported commit, also after a restart.
                self.save_progress("the commit").await;
            }
            JobEvent::System(system) => report.system = Some(system.into()),
            JobEvent::Generation(generation) => report.generation = Some(generation),
            JobEvent::Component(component) => {
                let has_started = component.state != ComponentState::Pending;
                if report.components.update(component) && has_started {
                    // A listener that resumes the job continues at the first component that is not over.
                    self.save_progress("the state of a component").await;
                }
            }
            JobEvent::Diagnostics(text) => {
                self.diagnostics = Some(text);
                return false;
            }
            JobEvent::Note(note) => self.final_message = Some(note),
            JobEvent::Changes(changes) => report.changes = Some(changes),
            JobEvent::PreviousSystem(old) => {
                self.record.previous = Some(*old);
                return false;
            }
            JobEvent::Handover(handover, reply) => {
                self.record.handover = Some(*handover);
                // From now on only the worker can stop the job.
                self.handed_over = true;
                self.reply_to_cancel();
                self.stamp();
                let saved = self.save().await.map_err(|error| error.to_string());
                // The engine waits only for this reply, so a dropped receiver needs no handling.
                let _ = reply.send(saved);
            }
            JobEvent::ExternalCommand(command, reply) => {
                self.record.external_command = Some(*command);
                self.stamp();
                let saved = self.save().await.map_err(|error| error.to_string());
                // The engine waits only for this reply, so a dropped receiver needs no handling.
                let _ = reply.send(saved);
                return false;
            }
            JobEvent::Record(record) => {
                let changed = record.report != self.record.report;
                let phase =
                    |record: &JobRecord| record.report.phases.running().map(|phase| phase.name.clone());
                let entered = phase(&record);
                if entered != phase(&self.record) {
                    self.phase_started_at = Instant::now();
                    if let Some(phase) = entered {
                        tracing::debug!(%phase, "entered a phase");
                    }
                }
                self.record = *record;
                self.handed_over = true;
                self.confirmer.start_if_requested(&self.record, self.store.job(&self.record.request.id));
                return changed;
            }
            JobEvent::Stopping => {
                self.stopped = true;
                self.reply_to_cancel();
                return false;
            }
            JobEvent::Log(piece) => {
                if let Some(piece) = self.live_log.take(piece) {
                    self.reporter.send_log(&self.record.request.id, piece.offset, piece.text).await;
                }
                return false;
            }
        }
        true
    }

    /// Publishes the last skipped line, so that readers notice the gap.
    async fn publish_last_line(&mut self) {
        if let Some(piece) = self.live_log.take_skipped() {
            self.reporter.send_log(&self.record.request.id, piece.offset, piece.text).await;
        }
    }

    fn can_stop(&self) -> bool {
        if self.handed_over {
            return false;
        }
        let is_stoppable =
            |phase: &PhaseName| matches!(phase, PhaseName::Prepare | PhaseName::Build | PhaseName::Check);
        self.record.report.phases.running().is_none_or(|phase| is_stoppable(&phase.name))
    }

    /// Replies to all pending cancel requests.
    fn reply_to_cancel(&mut self) {
        let id = &self.record.request.id;
        let phase = self.record.report.phases.running().map(|phase| phase.name.to_string());
        let phase = phase.map_or_else(|| "before its first phase".to_owned(), |phase| format!("in {phase}"));
        let decision = if self.stopped {
            Ok(format!("cancelling {phase}"))
        } else {
            let why = format!("job {id} is {phase}; an activation that has started is not interrupted");
            Err((ErrorCode::TooLate, why))
        };
        for waiter in self.cancel_waiters.drain(..) {
            // The receiver may be gone, which does not change the decision.
            let _ = waiter.send(decision.clone());
        }
    }

    /// Replaces the engine's `cancelled` by the reason for which it was stopped.
    fn with_stop_reason(&self, failure: JobFailure) -> JobFailure {
        let after = self.timeout.as_secs();
        match (&self.stopping, &failure.code) {
            (Some(ErrorCode::Timeout), ErrorCode::Cancelled) => {
                let phase = self.record.report.phases.running().map(|phase| &phase.name);
                let advice = if phase == Some(&PhaseName::Build) { BUILD_TIMEOUT_ADVICE } else { "" };
                JobFailure {
                    code: ErrorCode::Timeout,
                    message: format!("took longer than {after} s: {}{advice}", failure.message),
                    ..failure
                }
            }
            _ => failure,
        }
    }

    async fn set_result(&mut self, result: JobResult, engine: &dyn Engine) {
        let report = &mut self.record.report;
        set_elapsed(&mut report.phases, self.phase_started_at);
        report.progress = None;
        match result {
            Ok(message) => {
                report.phases.end(&PhaseState::Done);
                report.components.end(&ComponentState::Done);
                report.status = Status::Completed;
                report.message = self.final_message.take().unwrap_or(message);
                if let Some(text) = self.diagnostics.take() {
                    self.add_diagnostics(engine, &text);
                }
            }
            Err(failure) => {
                // The failed phase was marked when the rollback started.
                let rolled_back = failure.rolled_back == Some(true);
                report.phases.end(if rolled_back { &PhaseState::Done } else { &PhaseState::Failed });
                report.components.end(&ComponentState::Failed);
                report.status = Status::Failed;
                report.error = Some(failure.code);
                report.message = failure.message;
                report.rolled_back = failure.rolled_back;
                let text = match self.diagnostics.take() {
                    Some(text) => text,
                    None => {
                        let (read, facts) = (self.store.job(&self.record.request.id), engine.facts());
                        let text =
                            tokio::task::spawn_blocking(move || collect_diagnostics(&read, &[], &facts));
                        text.await.unwrap_or_default()
                    }
                };
                self.add_diagnostics(engine, &text);
            }
        }
    }

    /// Adds the diagnostics to the report, and saves them completely.
    fn add_diagnostics(&mut self, engine: &dyn Engine, text: &str) {
        let text = engine.mask(text);
        save_diagnostics(&self.store.job(&self.record.request.id), &text);
        self.record.report.diagnostics = Some(text);
    }

    /// Updates the times and the sequence number of the report.
    fn stamp(&mut self) {
        let report = &mut self.record.report;
        // A final report from the worker already has its times.
        if !report.status.is_final() || !self.handed_over {
            set_elapsed(&mut report.phases, self.phase_started_at);
            report.elapsed_ms = Some(millis(self.started_at.elapsed()));
        }
        self.reporter.stamp(report);
    }

    /// Publishes the report, and makes it visible to queries.
    async fn publish_report(&self) {
        let mut report = self.record.report.clone();
        report.confirm = self.confirm.borrow().as_deref().map(Into::into);
        let shared = Arc::new(report);
        self.report.send_replace(shared.clone());
        // If the connection is down the report is lost; a later report or the record replaces it.
        let _ = self.reporter.send_report(&self.record.request.destination(), &shared).await;
    }

    async fn save_progress(&self, what: &str) {
        if let Err(error) = self.save().await {
            tracing::warn!(%error, "failed to record {what}");
        }
    }

    async fn save(&self) -> Result<(), StoreError> {
        let (store, record) = (self.store.clone(), self.record.clone());
        tokio::task::spawn_blocking(move || store.save(&record)).await.unwrap_or(Ok(()))
    }
}

/// A record for a request that was just accepted.
pub(super) fn accept(
    request: DeployRequest,
    starts: u64,
    timeout: Duration,
    reporter: &ListenerReporter,
) -> JobRecord {
    let mut report = reporter.report_on(&request, Status::Accepted, "accepted");
    report.phases = Phases::pending();
    let accepted_at = now();
    let deadline = accepted_at.saturating_add(jiff::SignedDuration::try_from(timeout).unwrap_or_default());
    JobRecord::new(request, accepted_at, deadline.unwrap_or(accepted_at), starts, report)
}

fn set_elapsed(phases: &mut Phases, since: Instant) {
    if let Some(phase) = phases.0.iter_mut().find(|phase| phase.state == PhaseState::Running) {
        phase.elapsed_ms = millis(since.elapsed());
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
