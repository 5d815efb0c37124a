//! Plays one script: up to the hand-over by telling each step, from there on by writing the record.

use super::SimulatedEngine;
use crate::activation::{Failure, JobLog, Order, Outcome, Step, Steps, last_lines};
use crate::demo::report;
use crate::demo::script::{Beat, HEALTH_CHECK, HEALTH_TIMEOUT, Script};
use crate::jobs::{Orders, PeersBefore, Record};
use crate::protocol::{ErrorCode, OnFailure, PhaseName, PhaseState};
use std::io;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// How many lines of the log a failure quotes.
const QUOTED_LINES: usize = 60;

pub(super) struct Player {
    engine: SimulatedEngine,
    order: Order,
    log: JobLog,
    steps: Steps,
    stop: CancellationToken,
    phase: PhaseName,
    phase_begun: Instant,
    /// The record and the moment of the hand-over, once that has happened.
    owned: Option<(Record, Instant)>,
}

impl Player {
    pub(super) fn new(
        engine: SimulatedEngine,
        order: Order,
        log: JobLog,
        steps: Steps,
        stop: CancellationToken,
    ) -> Self {
        engine.machine().busy = true;
        let phase_begun = Instant::now();
        Self { engine, order, log, steps, stop, phase: PhaseName::Prepare, phase_begun, owned: None }
    }

    pub(super) async fn play(mut self, script: Script) -> Outcome {
        for beat in script.beats {
            match beat {
                Beat::Pause(duration) => self.pause(duration).await?,
                Beat::Say(line) => self.say(&line).await?,
                Beat::Change(change) => self.engine.machine().apply(&change),
                Beat::HandOver => self.hand_over().await?,
                Beat::Reboot => {
                    self.engine.power.reboot().await;
                    // The rest is told by the listener of the next boot.
                    return std::future::pending().await;
                }
                told => self.tell(told).await?,
            }
        }
        self.conclude(script.outcome).await
    }

    /// Tells a step in the way of whoever owns the record now.
    async fn tell(&mut self, beat: Beat) -> Result<(), Failure> {
        let Some((record, _)) = &mut self.owned else {
            if beat == Beat::Enter(PhaseName::Prepare) {
                let old = self.engine.machine().snapshot();
                self.send(Step::Old(Box::new(old))).await;
            }
            if let Some(step) = step(beat) {
                if let Step::Enter(phase) = &step {
                    self.phase = phase.clone();
                }
                self.send(step).await;
            }
            return Ok(());
        };
        if let Beat::Enter(phase) = &beat {
            time_phase(record, &mut self.phase_begun);
            if *phase == PhaseName::Rollback {
                record.report.error = Some(ErrorCode::VerificationFailed);
            }
        }
        report::fold(&mut record.report, &beat);
        self.save().await
    }

    async fn hand_over(&mut self) -> Result<(), Failure> {
        if self.stop.is_cancelled() {
            return Err(self.stopped().await);
        }
        let orders = Orders {
            profile: "/nix/var/nix/profiles/system".to_owned(),
            confirm_timeout_s: 60,
            peers: PeersBefore::NotNeeded,
            confirm_hold_s: 20,
            activate_timeout_s: 900,
            last_resort_reboot: true,
            health_checks: vec![HEALTH_CHECK.to_owned()],
            health_timeout_s: HEALTH_TIMEOUT,
            ignore_units: Vec::new(),
            keep: self.order.request.on_failure == Some(OnFailure::Keep),
            listener_unit: None,
            starts: 0,
        };
        let (answer, answered) = oneshot::channel();
        self.send(Step::HandOver(Box::new(orders), answer)).await;
        let durable = answered.await.unwrap_or_else(|_| Err("the listener stopped".to_owned()));
        let failed = |why: String| Failure::new(ErrorCode::Unhealthy, format!("{why}; nothing was changed"));
        durable.map_err(failed)?;
        let record = self.order.folder.record().map_err(|error| failed(error.to_string()))?;
        let now = Instant::now();
        let running = record.report.phases.running().map_or(0, |phase| phase.elapsed_ms);
        self.phase_begun = now.checked_sub(Duration::from_millis(running)).unwrap_or(now);
        self.owned = Some((record, now));
        Ok(())
    }

    async fn conclude(mut self, outcome: Outcome) -> Outcome {
        let Some((record, since)) = &mut self.owned else { return outcome };
        time_phase(record, &mut self.phase_begun);
        let elapsed = record.report.elapsed_ms.unwrap_or(0);
        record.report.elapsed_ms = Some(elapsed + millis(since.elapsed()));
        report::conclude(&mut record.report, &outcome);
        let verdict = format!("{}: {}", record.report.status, record.report.message);
        if outcome.is_err() {
            let log_ends = last_lines(&self.order.folder.log(), QUOTED_LINES).unwrap_or_default();
            let facts = self.engine.machine().facts();
            record.report.diagnostics = Some(report::diagnostics(&record.report, &log_ends, &facts));
        }
        self.say(&verdict).await?;
        self.save().await?;
        outcome
    }

    /// Writes the record and shows it to the listener.
    async fn save(&self) -> Result<(), Failure> {
        let Some((record, _)) = &self.owned else { return Ok(()) };
        let (folder, record) = (self.order.folder.clone(), record.clone());
        let told = Step::Record(Box::new(record.clone()));
        let saved = spawn_blocking(move || folder.save(&record).map_err(|error| error.to_string())).await;
        match saved {
            Ok(Err(why)) => Err(Failure::new(ErrorCode::Unhealthy, why)),
            _ => {
                self.send(told).await;
                Ok(())
            }
        }
    }

    async fn say(&mut self, line: &str) -> Result<(), Failure> {
        let piece = self.log.line(line).map_err(|error| log_failed(&error))?;
        self.send(Step::Log(piece)).await;
        Ok(())
    }

    async fn send(&self, step: Step) {
        // Nobody listens only while the demo stops.
        let _ = self.steps.send(step).await;
    }

    /// Lets time pass; asked to stop, it does where nothing was changed yet.
    async fn pause(&self, duration: Duration) -> Result<(), Failure> {
        let pause = sleep(duration.mul_f64(self.engine.pace));
        tokio::select! {
            () = pause => Ok(()),
            () = self.stop.cancelled(), if self.owned.is_none() => Err(self.stopped().await),
        }
    }

    async fn stopped(&self) -> Failure {
        self.send(Step::Stopping).await;
        Failure::new(ErrorCode::Cancelled, format!("stopped in {}; nothing was changed", self.phase))
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        self.engine.machine().busy = false;
    }
}

pub(super) fn log_failed(error: &io::Error) -> Failure {
    Failure::new(ErrorCode::Internal, format!("could not keep the log of the job: {error}"))
}

/// The step that tells a beat.
fn step(beat: Beat) -> Option<Step> {
    Some(match beat {
        Beat::Enter(phase) => Step::Enter(phase),
        Beat::Progress(progress) => Step::Progress(progress),
        Beat::Commit(commit) => Step::Commit(commit),
        Beat::System(system) => Step::System(system),
        Beat::Generation(generation) => Step::Generation(generation),
        Beat::Changes(changes) => Step::Changes(changes),
        _ => return None,
    })
}

fn time_phase(record: &mut Record, begun: &mut Instant) {
    let now = Instant::now();
    let running = record.report.phases.0.iter_mut().find(|phase| phase.state == PhaseState::Running);
    if let Some(phase) = running {
        phase.elapsed_ms = millis(now.duration_since(*begun));
    }
    *begun = now;
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
