//! The engine of a simulated host: it plays the timeline of each job, with the rules of the real pipeline.

use super::machine::SimulatedMachine;
use super::outage::OutageSender;
use super::timeline::{HEALTH_CHECK, HEALTH_TIMEOUT, Timeline, TimelineEvent};
use super::{DemoHost, report};
use crate::activation::{
    Engine, Facts, JobEvent, JobEvents, JobFailure, JobFuture, JobLog, JobResult, JobSpec, last_lines,
};
use crate::jobs::{Handover, JobRecord, PeerBaseline};
use crate::protocol::{Action, ErrorCode, OnFailure, PhaseName, PhaseState};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// Number of log lines in the diagnostics of a failure.
const QUOTED_LINES: usize = 60;

/// What a simulated host supports beyond the base four actions.
pub(super) const ACTIONS: [Action; 4] = [Action::Build, Action::Cancel, Action::Rollback, Action::Reboot];

/// Simulates deployments.
#[derive(Debug, Clone)]
pub(super) struct SimulatedEngine {
    pub(super) host: Arc<DemoHost>,
    pub(super) machine: Arc<Mutex<SimulatedMachine>>,
    pub(super) outages: OutageSender,
    /// URL of the simulated flake.
    pub(super) flake: Arc<str>,
    /// Factor for all durations; 1 is the pace of a normal host.
    pub(super) pace: f64,
}

impl SimulatedEngine {
    pub(super) fn machine(&self) -> MutexGuard<'_, SimulatedMachine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine for SimulatedEngine {
    fn actions(&self) -> Vec<Action> {
        let mut actions = Action::BASE.to_vec();
        actions.extend(ACTIONS);
        actions
    }

    fn facts(&self) -> Facts {
        self.machine().facts()
    }

    fn run(&self, job: JobSpec, events: JobEvents, stop: CancellationToken) -> JobFuture {
        let engine = self.clone();
        Box::pin(async move {
            let timeline = Timeline::of(&job.request, &engine.host, &engine.machine(), &engine.flake);
            let log = JobLog::open(&job.dir.log()).map_err(|error| log_failed(&error))?;
            Player::new(engine, job, log, events, stop).play(timeline).await
        })
    }

    fn can_repeat(&self) -> bool {
        true
    }

    fn boot_id(&self) -> Option<String> {
        Some(self.machine().boot_id())
    }
}

struct Player {
    engine: SimulatedEngine,
    job: JobSpec,
    log: JobLog,
    events: JobEvents,
    stop: CancellationToken,
    phase: PhaseName,
    phase_started_at: Instant,
    /// The record and the time of the handover, once the job was handed over.
    handed_over: Option<(JobRecord, Instant)>,
}

impl Player {
    fn new(
        engine: SimulatedEngine,
        job: JobSpec,
        log: JobLog,
        events: JobEvents,
        stop: CancellationToken,
    ) -> Self {
        engine.machine().busy = true;
        let phase_started_at = Instant::now();
        Self {
            engine,
            job,
            log,
            events,
            stop,
            phase: PhaseName::Prepare,
            phase_started_at,
            handed_over: None,
        }
    }

    async fn play(mut self, timeline: Timeline) -> JobResult {
        for event in timeline.events {
            match event {
                TimelineEvent::Pause(duration) => self.pause(duration).await?,
                TimelineEvent::LogLine(line) => self.log_line(&line).await?,
                TimelineEvent::Change(change) => self.engine.machine().apply(&change),
                TimelineEvent::Handover => self.hand_over().await?,
                TimelineEvent::Reboot => {
                    self.engine.outages.reboot().await;
                    // The listener reports the result after the next boot.
                    return std::future::pending().await;
                }
                other => self.report_event(other).await?,
            }
        }
        self.finish(timeline.outcome).await
    }

    /// Reports an event: to the listener before the handover, and in the record afterwards.
    async fn report_event(&mut self, event: TimelineEvent) -> Result<(), JobFailure> {
        let Some((record, _)) = &mut self.handed_over else {
            if event == TimelineEvent::Enter(PhaseName::Prepare) {
                let old = self.engine.machine().snapshot();
                self.send(JobEvent::PreviousSystem(Box::new(old))).await;
            }
            if let Some(event) = job_event_of(event) {
                if let JobEvent::PhaseStarted(phase) = &event {
                    self.phase = phase.clone();
                }
                self.send(event).await;
            }
            return Ok(());
        };
        if let TimelineEvent::Enter(phase) = &event {
            time_phase(record, &mut self.phase_started_at);
            if *phase == PhaseName::Rollback {
                record.report.error = Some(ErrorCode::VerificationFailed);
            }
        }
        report::apply(&mut record.report, &event);
        self.save().await
    }

    async fn hand_over(&mut self) -> Result<(), JobFailure> {
        if self.stop.is_cancelled() {
            return Err(self.stopped().await);
        }
        let handover = Handover {
            profile: "/nix/var/nix/profiles/system".to_owned(),
            confirm_timeout_s: 60,
            peers: PeerBaseline::NotNeeded,
            confirm_hold_s: 20,
            activate_timeout_s: 900,
            last_resort_reboot: true,
            health_checks: vec![HEALTH_CHECK.to_owned()],
            health_timeout_s: HEALTH_TIMEOUT,
            ignore_units: Vec::new(),
            no_rollback: self.job.request.on_failure == Some(OnFailure::Keep),
            listener_unit: None,
            starts: 0,
        };
        let (reply_tx, reply) = oneshot::channel();
        self.send(JobEvent::Handover(Box::new(handover), reply_tx)).await;
        let saved = reply.await.unwrap_or_else(|_| Err("the listener stopped".to_owned()));
        let failed =
            |reason: String| JobFailure::new(ErrorCode::Unhealthy, format!("{reason}; nothing was changed"));
        saved.map_err(failed)?;
        let record = self.job.dir.record().map_err(|error| failed(error.to_string()))?;
        let now = Instant::now();
        let running = record.report.phases.running().map_or(0, |phase| phase.elapsed_ms);
        self.phase_started_at = now.checked_sub(Duration::from_millis(running)).unwrap_or(now);
        self.handed_over = Some((record, now));
        Ok(())
    }

    async fn finish(mut self, outcome: JobResult) -> JobResult {
        let Some((record, since)) = &mut self.handed_over else { return outcome };
        time_phase(record, &mut self.phase_started_at);
        let elapsed = record.report.elapsed_ms.unwrap_or(0);
        record.report.elapsed_ms = Some(elapsed + millis(since.elapsed()));
        report::finish(&mut record.report, &outcome);
        let result_line = format!("{}: {}", record.report.status, record.report.message);
        if outcome.is_err() {
            let log_ends = last_lines(&self.job.dir.log(), QUOTED_LINES).unwrap_or_default();
            let facts = self.engine.machine().facts();
            record.report.diagnostics = Some(report::diagnostics(&record.report, &log_ends, &facts));
        }
        self.log_line(&result_line).await?;
        self.save().await?;
        outcome
    }

    /// Writes the record and sends it to the listener.
    async fn save(&self) -> Result<(), JobFailure> {
        let Some((record, _)) = &self.handed_over else { return Ok(()) };
        let (job_dir, record) = (self.job.dir.clone(), record.clone());
        let event = JobEvent::Record(Box::new(record.clone()));
        let saved = spawn_blocking(move || job_dir.save(&record).map_err(|error| error.to_string())).await;
        match saved {
            Ok(Err(reason)) => Err(JobFailure::new(ErrorCode::Unhealthy, reason)),
            _ => {
                self.send(event).await;
                Ok(())
            }
        }
    }

    async fn log_line(&mut self, line: &str) -> Result<(), JobFailure> {
        let piece = self.log.line(line).map_err(|error| log_failed(&error))?;
        self.send(JobEvent::Log(piece)).await;
        Ok(())
    }

    async fn send(&self, event: JobEvent) {
        // The channel is closed only if the demo stops.
        let _ = self.events.send(event).await;
    }

    /// Waits; before the handover, a request to stop ends the job.
    async fn pause(&self, duration: Duration) -> Result<(), JobFailure> {
        let pause = sleep(duration.mul_f64(self.engine.pace));
        tokio::select! {
            () = pause => Ok(()),
            () = self.stop.cancelled(), if self.handed_over.is_none() => Err(self.stopped().await),
        }
    }

    async fn stopped(&self) -> JobFailure {
        self.send(JobEvent::Stopping).await;
        JobFailure::new(ErrorCode::Cancelled, format!("stopped in {}; nothing was changed", self.phase))
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        self.engine.machine().busy = false;
    }
}

fn log_failed(error: &io::Error) -> JobFailure {
    JobFailure::new(ErrorCode::Internal, format!("could not use the log of the job: {error}"))
}

/// The job event for a timeline event, if it has one.
fn job_event_of(event: TimelineEvent) -> Option<JobEvent> {
    Some(match event {
        TimelineEvent::Enter(phase) => JobEvent::PhaseStarted(phase),
        TimelineEvent::Progress(progress) => JobEvent::Progress(progress),
        TimelineEvent::Commit(commit) => JobEvent::Commit(commit),
        TimelineEvent::System(system) => JobEvent::System(system),
        TimelineEvent::Generation(generation) => JobEvent::Generation(generation),
        TimelineEvent::Changes(changes) => JobEvent::Changes(changes),
        _ => return None,
    })
}

fn time_phase(record: &mut JobRecord, started_at: &mut Instant) {
    let now = Instant::now();
    let running = record.report.phases.0.iter_mut().find(|phase| phase.state == PhaseState::Running);
    if let Some(phase) = running {
        phase.elapsed_ms = millis(now.duration_since(*started_at));
    }
    *started_at = now;
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
