//! One running job: folds the engine's steps into the record, tells operators, and is the one who decides about
//! timeout and cancel.

use super::live_log::LiveLog;
use super::prover::Prover;
use super::reporter::Reporter;
use crate::activation::{Engine, Failure, Order, Outcome, Step, Steps, Work, diagnostics, keep_diagnostics};
use crate::jobs::{Record, Store, StoreError, now};
use crate::protocol::{DeployReport, DeployRequest, ErrorCode, PhaseName, PhaseState, Phases, Status};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// The shortest time between two reports of progress.
const MIN_GAP: Duration = Duration::from_millis(250);

/// What to do about a build that took too long.
const BUILD_TIMEOUT_ADVICE: &str = "; what was built and fetched is kept, so deploy again to continue from there, or raise \
                                    `--timeout` of the listener";

/// Whether a cancel was taken, or why not.
pub(super) type CancelAnswer = Result<String, (ErrorCode, String)>;

/// What the service keeps of the running job.
pub(super) struct Handle {
    /// Asks it to stop.
    pub(super) cancel: mpsc::Sender<oneshot::Sender<CancelAnswer>>,
    /// How it stands.
    pub(super) report: watch::Receiver<Arc<DeployReport>>,
}

/// A job that is about to run.
pub(super) struct Job {
    record: Record,
    store: Arc<Store>,
    reporter: Reporter,
    cancel: mpsc::Receiver<oneshot::Sender<CancelAnswer>>,
    report: watch::Sender<Arc<DeployReport>>,
    timeout: Duration,
    heartbeat: Duration,
    begun: Instant,
    phase_begun: Instant,
    /// Why it was asked to stop.
    stopping: Option<ErrorCode>,
    /// Whether it does stop.
    stopped: bool,
    /// Whether the activation program owns the record: this job only follows then.
    handed_over: bool,
    /// Proves the link where the activation program asks for it.
    prover: Prover,
    /// The nonce that operators who follow are asked to send back.
    confirm: watch::Receiver<Option<String>>,
    /// Who asked to cancel and waits to hear whether that came in time.
    asked: Vec<oneshot::Sender<CancelAnswer>>,
    note: Option<String>,
    live_log: LiveLog,
}

impl Job {
    pub(super) fn new(
        record: Record,
        store: Arc<Store>,
        reporter: Reporter,
        timeout: Duration,
        heartbeat: Duration,
        prover: Prover,
    ) -> (Self, Handle) {
        let (cancel_in, cancel) = mpsc::channel(8);
        let (report, report_out) = watch::channel(Arc::new(record.report.clone()));
        // A job that is taken up began before this process did.
        let age = Duration::try_from(now().duration_since(record.accepted_at)).unwrap_or_default();
        let begun = Instant::now().checked_sub(age).unwrap_or_else(Instant::now);
        let record_is_handed_over = record.orders.is_some();
        let job = Self {
            record,
            store,
            reporter,
            cancel,
            report,
            timeout,
            heartbeat,
            begun,
            phase_begun: Instant::now(),
            stopping: None,
            stopped: false,
            handed_over: record_is_handed_over,
            confirm: prover.wanted(),
            prover,
            asked: Vec::new(),
            note: None,
            live_log: LiveLog::new(),
        };
        (job, Handle { cancel: cancel_in, report: report_out })
    }

    /// Runs the job to its verdict and gives the record; the verdict itself is told by whoever keeps it.
    pub(super) async fn run(mut self, engine: Arc<dyn Engine>) -> Record {
        // `accepted` goes out before a slow disk is waited for.
        self.reporter.left().await;
        let outcome = match self.save().await {
            Ok(()) => {
                self.record.report.status = Status::Started;
                "started".clone_into(&mut self.record.report.message);
                self.stamp();
                self.tell().await;
                let work = |order, steps, stop| engine.work(order, steps, stop);
                self.work(work).await
            }
            Err(error) => Err(Failure::new(ErrorCode::Unhealthy, error.to_string())),
        };
        self.end(outcome, &*engine).await
    }

    /// Takes up a job that was handed over and gives the record: its owner works on, or is started to recover.
    pub(super) async fn take_up(mut self, engine: Arc<dyn Engine>) -> Record {
        let work = |order, steps, stop| engine.follow(order, steps, stop);
        let outcome = self.work(work).await;
        self.end(outcome, &*engine).await
    }

    async fn end(mut self, outcome: Outcome, engine: &dyn Engine) -> Record {
        // What the activation program concluded stands as it is.
        let ours = !(self.handed_over && self.record.is_final());
        let left_out = self.live_log.left_out();
        if left_out > 0 {
            tracing::info!(id = %self.record.request.id, left_out, "left lines out of the live log; `logs` has them");
        }
        if ours {
            self.conclude(outcome, engine).await;
        }
        self.stamp();
        if let Err(error) = self.save().await {
            let id = &self.record.request.id;
            tracing::error!(%id, %error, "the verdict could not be kept");
            // A record that is still open would be taken up by the next start, and the job have two verdicts.
            if ours && let Err(error) = self.store.set_aside(id) {
                tracing::error!(%id, %error, "its open record could not be put aside");
            }
        }
        self.record
    }

    async fn work(&mut self, work: impl FnOnce(Order, Steps, CancellationToken) -> Work) -> Outcome {
        let id = self.record.request.id.clone();
        let mut request = self.record.request.clone();
        // A job that is done again builds the commit that was reported, wherever the branch is by now.
        let resolved = || self.record.report.commit.as_ref().map(ToString::to_string);
        request.commit = request.commit.or_else(resolved);
        let order = Order {
            request,
            folder: self.store.job(&id),
            reachable: self.reporter.reachable(),
            peers: self.prover.peers(),
            timeout: self.timeout,
        };
        let (told, mut steps) = mpsc::channel(64);
        let stop = CancellationToken::new();
        let mut work = work(order, told, stop.clone());
        let deadline = sleep_until(self.begun + self.timeout);
        tokio::pin!(deadline);
        let mut next_report = Instant::now() + self.heartbeat;
        let mut last_report = Instant::now();
        loop {
            let may_stop = self.stopping.is_none();
            tokio::select! {
                biased;
                Some(news) = steps.recv() => {
                    if self.fold(news).await {
                        next_report = next_report.min(last_report + MIN_GAP);
                    }
                }
                outcome = &mut work => {
                    while let Ok(step) = steps.try_recv() {
                        self.fold(step).await;
                    }
                    self.tell_last_line().await;
                    self.stopped |= outcome.as_ref().is_err_and(|failure| failure.code == ErrorCode::Cancelled);
                    if self.stopped {
                        self.answer_cancel();
                    }
                    return outcome.map_err(|failure| self.reason(failure));
                }
                Some(answer) = self.cancel.recv() => {
                    self.asked.push(answer);
                    if self.stopped || !self.can_be_stopped() {
                        self.answer_cancel();
                    } else {
                        // The engine knows best what it is doing; it answers by its next step.
                        self.stopping.get_or_insert(ErrorCode::Cancelled);
                        stop.cancel();
                    }
                }
                Ok(()) = self.confirm.changed() => {
                    next_report = next_report.min(last_report + MIN_GAP);
                }
                () = &mut deadline, if may_stop && self.can_be_stopped() => {
                    self.stopping = Some(ErrorCode::Timeout);
                    stop.cancel();
                }
                () = sleep_until(self.live_log.due().unwrap_or(next_report)), if self.live_log.due().is_some() => {
                    self.tell_last_line().await;
                }
                () = sleep_until(next_report) => {
                    self.record.report.status = Status::Running;
                    self.stamp();
                    self.tell().await;
                    last_report = Instant::now();
                    next_report = last_report + self.heartbeat;
                }
            }
        }
    }

    /// Folds a step; gives whether operators should hear of it soon.
    async fn fold(&mut self, step: Step) -> bool {
        let report = &mut self.record.report;
        match step {
            Step::Enter(phase) => {
                set_elapsed(&mut report.phases, self.phase_begun);
                if !report.phases.enter(&phase) {
                    return false;
                }
                self.phase_begun = Instant::now();
                if phase != PhaseName::Build {
                    report.progress = None;
                }
                report.message = phase.to_string();
                if !self.can_be_stopped() {
                    self.answer_cancel();
                }
                // So that it is known after a crash how far it was.
                self.save_step("a phase").await;
            }
            Step::Progress(progress) => report.progress = Some(progress),
            Step::Origin(origin) => {
                self.record.deployed = Some(origin);
                return false;
            }
            Step::Commit(commit) => {
                report.commit = Some(commit.into());
                // What was told must be what is built, also by a later start.
                self.save_step("the commit").await;
            }
            Step::System(system) => report.system = Some(system.into()),
            Step::Generation(generation) => report.generation = Some(generation),
            Step::Note(note) => self.note = Some(note),
            Step::Changes(changes) => report.changes = Some(changes),
            Step::Old(old) => {
                self.record.old = Some(*old);
                return false;
            }
            Step::HandOver(orders, answer) => {
                self.record.orders = Some(*orders);
                // From here on nobody may stop it but itself.
                self.handed_over = true;
                self.answer_cancel();
                self.stamp();
                let saved = self.save().await.map_err(|error| error.to_string());
                // The engine waits for this and for nothing else.
                let _ = answer.send(saved);
            }
            Step::External(command, answer) => {
                self.record.external_command = Some(*command);
                self.stamp();
                let saved = self.save().await.map_err(|error| error.to_string());
                // The engine waits for this and for nothing else.
                let _ = answer.send(saved);
                return false;
            }
            Step::Record(record) => {
                let changed = record.report != self.record.report;
                let phase = |record: &Record| record.report.phases.running().map(|phase| phase.name.clone());
                if phase(&record) != phase(&self.record) {
                    self.phase_begun = Instant::now();
                }
                self.record = *record;
                self.handed_over = true;
                self.prover.look(&self.record, self.store.job(&self.record.request.id));
                return changed;
            }
            Step::Stopping => {
                self.stopped = true;
                self.answer_cancel();
                return false;
            }
            Step::Log(piece) => {
                if let Some(piece) = self.live_log.take(piece) {
                    self.reporter.log(&self.record.request.id, piece.offset, piece.text).await;
                }
                return false;
            }
        }
        true
    }

    /// Publishes the last line that was left out, so that everybody sees that there is more.
    async fn tell_last_line(&mut self) {
        if let Some(piece) = self.live_log.take_last() {
            self.reporter.log(&self.record.request.id, piece.offset, piece.text).await;
        }
    }

    fn can_be_stopped(&self) -> bool {
        if self.handed_over {
            return false;
        }
        let may =
            |phase: &PhaseName| matches!(phase, PhaseName::Prepare | PhaseName::Build | PhaseName::Check);
        self.record.report.phases.running().is_none_or(|phase| may(&phase.name))
    }

    /// Tells everybody who asked to cancel how that was decided.
    fn answer_cancel(&mut self) {
        let id = &self.record.request.id;
        let phase = self.record.report.phases.running().map(|phase| phase.name.to_string());
        let phase = phase.unwrap_or_else(|| "its beginning".to_owned());
        let decision = if self.stopped {
            Ok(format!("job {id} is being stopped in {phase}"))
        } else {
            let why = format!("job {id} is in {phase}, and what has begun to activate is not interrupted");
            Err((ErrorCode::TooLate, why))
        };
        for asked in self.asked.drain(..) {
            // Who asked may have gone; the decision stands.
            let _ = asked.send(decision.clone());
        }
    }

    /// An engine that was stopped only knows that it was; why is known here.
    fn reason(&self, failure: Failure) -> Failure {
        let after = self.timeout.as_secs();
        match (&self.stopping, &failure.code) {
            (Some(ErrorCode::Timeout), ErrorCode::Cancelled) => {
                let phase = self.record.report.phases.running().map(|phase| &phase.name);
                let advice = if phase == Some(&PhaseName::Build) { BUILD_TIMEOUT_ADVICE } else { "" };
                Failure {
                    code: ErrorCode::Timeout,
                    message: format!("took longer than {after} s: {}{advice}", failure.message),
                    ..failure
                }
            }
            _ => failure,
        }
    }

    async fn conclude(&mut self, outcome: Outcome, engine: &dyn Engine) {
        let report = &mut self.record.report;
        set_elapsed(&mut report.phases, self.phase_begun);
        report.progress = None;
        match outcome {
            Ok(message) => {
                report.phases.end(&PhaseState::Done);
                report.status = Status::Completed;
                report.message = self.note.take().unwrap_or(message);
            }
            Err(failure) => {
                // What failed was marked when the rollback began.
                let went_back = failure.rolled_back == Some(true);
                report.phases.end(if went_back { &PhaseState::Done } else { &PhaseState::Failed });
                report.status = Status::Failed;
                report.error = Some(failure.code);
                report.message = failure.message;
                report.rolled_back = failure.rolled_back;
                let folder = self.store.job(&self.record.request.id);
                let facts = engine.facts();
                let read = folder.clone();
                let text = tokio::task::spawn_blocking(move || diagnostics(&read, &[], &facts)).await;
                let text = engine.mask(&text.unwrap_or_default());
                keep_diagnostics(&folder, &text);
                self.record.report.diagnostics = Some(text);
            }
        }
    }

    /// Brings the times up to now and gives the report its place in the order.
    fn stamp(&mut self) {
        let report = &mut self.record.report;
        // Whoever concluded it has counted its time.
        if !report.status.is_final() || !self.handed_over {
            set_elapsed(&mut report.phases, self.phase_begun);
            report.elapsed_ms = Some(millis(self.begun.elapsed()));
        }
        self.reporter.stamp(report);
    }

    /// Publishes the report, and shows it to whoever asks this listener.
    async fn tell(&self) {
        let mut report = self.record.report.clone();
        report.confirm = self.confirm.borrow().as_deref().map(Into::into);
        let shared = Arc::new(report);
        self.report.send_replace(shared.clone());
        // While the link is down nobody hears it: the next one, or the record, will tell.
        let _ = self.reporter.send(&self.record.request.destination(), &shared).await;
    }

    async fn save_step(&self, what: &str) {
        if let Err(error) = self.save().await {
            tracing::warn!(id = %self.record.request.id, %error, "failed to record {what}");
        }
    }

    async fn save(&self) -> Result<(), StoreError> {
        let (store, record) = (self.store.clone(), self.record.clone());
        tokio::task::spawn_blocking(move || store.save(&record)).await.unwrap_or(Ok(()))
    }
}

/// A record for a request that was just accepted.
pub(super) fn accept(request: DeployRequest, starts: u64, timeout: Duration, reporter: &Reporter) -> Record {
    let mut report = reporter.about(&request, Status::Accepted, "accepted");
    report.phases = Phases::pending();
    let accepted_at = now();
    let deadline = accepted_at.saturating_add(jiff::SignedDuration::try_from(timeout).unwrap_or_default());
    Record::new(request, accepted_at, deadline.unwrap_or(accepted_at), starts, report)
}

fn set_elapsed(phases: &mut Phases, since: Instant) {
    if let Some(phase) = phases.0.iter_mut().find(|phase| phase.state == PhaseState::Running) {
        phase.elapsed_ms = millis(since.elapsed());
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
