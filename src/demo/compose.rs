//! The engine of a simulated host with Docker Compose: it brings up services one after the other, with the phases and
//! messages of the real one.

use super::DemoHost;
use super::commit::{self, BRANCHES, COMMITS, Commit, HEAD};
use crate::activation::{
    Engine, Facts, JobEvent, JobEvents, JobFailure, JobFuture, JobLog, JobResult, JobSpec,
};
use crate::jobs::PreviousSystem;
use crate::protocol::{
    Action, Changes, Component, ComponentState, EngineKind, ErrorCode, OnFailure, PhaseName, Progress,
};
use crate::text::format::count;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// The services of each host, in the sequence in which they are brought up.
pub(super) const SERVICES: [&str; 5] = ["mosquitto", "zigbee2mqtt", "homeassistant", "postgres", "grafana"];
/// The service that does not become healthy on the second host.
const UNHEALTHY: &str = "zigbee2mqtt";
/// What the host supports beyond the base actions.
const ACTIONS: [Action; 7] = [
    Action::Switch,
    Action::DryActivate,
    Action::Build,
    Action::Cancel,
    Action::Rollback,
    Action::Resume,
    Action::Diagnose,
];

/// What runs on the host.
#[derive(Debug)]
struct Deployed {
    commit: &'static Commit,
    previous: &'static Commit,
    generation: u64,
}

/// Simulates deployments of services.
#[derive(Debug, Clone)]
pub(super) struct SimulatedCompose {
    host: Arc<DemoHost>,
    deployed: Arc<Mutex<Deployed>>,
    booted_at: Timestamp,
    /// Factor for all durations; 1 is the pace of a normal host.
    pace: f64,
}

impl SimulatedCompose {
    /// A host that was deployed some commits ago.
    pub(super) fn new(host: &DemoHost, pace: f64) -> Self {
        let (commit, previous) = (&COMMITS[5], &COMMITS[4]);
        let week = SignedDuration::from_hours(7 * 24);
        Self {
            host: Arc::new(host.clone()),
            deployed: Arc::new(Mutex::new(Deployed { commit, previous, generation: 12 })),
            booted_at: Timestamp::now().checked_sub(week).unwrap_or_default(),
            pace,
        }
    }

    fn deployed(&self) -> MutexGuard<'_, Deployed> {
        self.deployed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a service does not become healthy with this commit.
    fn is_unhealthy(&self, service: &str, commit: &Commit) -> bool {
        service == UNHEALTHY && self.host.name.as_str().ends_with('2') && commit.number >= HEAD
    }
}

impl Engine for SimulatedCompose {
    fn actions(&self) -> Vec<Action> {
        ACTIONS.to_vec()
    }

    fn kind(&self) -> Option<EngineKind> {
        Some(EngineKind::Compose)
    }

    fn components(&self) -> Vec<String> {
        SERVICES.map(str::to_owned).to_vec()
    }

    fn facts(&self) -> Facts {
        let deployed = self.deployed();
        Facts {
            os_version: Some("Debian GNU/Linux 13 (trixie)".to_owned()),
            system: Some(system(deployed.commit)),
            booted_system: None,
            generation: Some(deployed.generation),
            reboot_needed: None,
            booted_at: Some(self.booted_at),
            nix_free_bytes: None,
            boot_free_bytes: None,
            failed_units: Vec::new(),
        }
    }

    fn run(&self, job: JobSpec, events: JobEvents, stop: CancellationToken) -> JobFuture {
        let engine = self.clone();
        Box::pin(async move {
            let log = JobLog::open(&job.dir.log()).map_err(|error| {
                JobFailure::new(ErrorCode::Internal, format!("could not use the log of the job: {error}"))
            })?;
            let random = fastrand::Rng::with_seed(commit::seed(engine.host.name.as_str()));
            ComposeJob { engine, job, log, events, stop, random, phase: PhaseName::Prepare }.play().await
        })
    }

    fn can_repeat(&self) -> bool {
        true
    }
}

fn system(commit: &Commit) -> String {
    format!("compose:{}", commit.hash)
}

/// Whether a service differs between two commits.
fn differs(at: usize, from: &Commit, to: &Commit) -> bool {
    from.number != to.number && (at + from.number.max(to.number)).is_multiple_of(2)
}

/// A job that runs.
struct ComposeJob {
    engine: SimulatedCompose,
    job: JobSpec,
    log: JobLog,
    events: JobEvents,
    stop: CancellationToken,
    random: fastrand::Rng,
    phase: PhaseName,
}

impl ComposeJob {
    async fn play(mut self) -> JobResult {
        let action = self.job.request.action.clone();
        self.enter(PhaseName::Prepare).await;
        let old = PreviousSystem {
            system: Some(system(self.engine.deployed().commit)),
            profile_link: None,
            profile_target: None,
            failed_units: Vec::new(),
            looping_units: Vec::new(),
            restarts: BTreeMap::new(),
            boot_id: None,
        };
        self.send(JobEvent::PreviousSystem(Box::new(old))).await;
        self.log_line("docker 29.0.1, Docker Compose 2.40.3").await;
        self.pause(300, 900).await?;
        if action == Action::Diagnose {
            return Ok(self.diagnose().await);
        }
        let commit = self.commit()?;
        self.send(JobEvent::Commit(commit.hash.to_owned())).await;
        let changed: Vec<_> = self.changed(commit);
        self.pull(&changed).await?;
        if action == Action::Build {
            return Ok("build done".to_owned());
        }
        self.send(JobEvent::System(system(commit))).await;
        self.enter(PhaseName::Check).await;
        self.pause(200, 500).await?;
        if action == Action::DryActivate {
            return Ok(self.dry_activate(&changed).await);
        }
        self.deploy(commit, &changed).await?;
        self.enter(PhaseName::Verify).await;
        self.wait(700, 1500).await;
        self.enter(PhaseName::Persist).await;
        let generation = {
            let mut deployed = self.engine.deployed();
            deployed.previous = deployed.commit;
            deployed.commit = commit;
            deployed.generation += 1;
            deployed.generation
        };
        self.send(JobEvent::Generation(generation)).await;
        let unchanged = self.services().len() - changed.len();
        Ok(format!(
            "{action} done, generation {generation}: {} changed, {unchanged} unchanged",
            count(changed.len(), "service")
        ))
    }

    /// The commit of the job: the pinned one, or that of the branch; the earlier one for a rollback.
    fn commit(&self) -> Result<&'static Commit, JobFailure> {
        let request = &self.job.request;
        if request.action == Action::Rollback {
            return Ok(self.engine.deployed().previous);
        }
        let revision = request.revision.as_ref().map(ToString::to_string);
        let wanted = request.commit.clone().or(revision).unwrap_or_default();
        Commit::named(&wanted).ok_or_else(|| {
            let branches: Vec<_> = BRANCHES.iter().map(|(name, _)| *name).collect();
            let message = format!(
                "{wanted:?} is not a branch or tag of the repository; it has {}",
                branches.join(", ")
            );
            JobFailure::new(ErrorCode::InvalidRevision, message)
        })
    }

    /// The services that the job is about.
    fn services(&self) -> Vec<&'static str> {
        let names = &self.job.services;
        let is_wanted =
            |service: &&str| names.is_empty() || names.iter().any(|name| name.as_str() == *service);
        SERVICES.into_iter().filter(is_wanted).collect()
    }

    /// The services that differ. A resume skips those that the earlier job has brought up.
    fn changed(&self, commit: &Commit) -> Vec<&'static str> {
        let runs = self.engine.deployed().commit;
        let resumed = self.job.resumed.as_ref().map(|record| &record.report.components.0);
        let is_over = |service: &str| {
            let state = resumed.into_iter().flatten().find(|component| component.name == service);
            state.is_some_and(|component| component.state == ComponentState::Done)
        };
        let wanted = self.services();
        let all = SERVICES.into_iter().enumerate().filter(|(_, service)| wanted.contains(service));
        let changed = all.filter(|(at, service)| differs(*at, runs, commit) && !is_over(service));
        changed.map(|(_, service)| service).collect()
    }

    async fn pull(&mut self, changed: &[&str]) -> Result<(), JobFailure> {
        self.enter(PhaseName::Build).await;
        let expected = changed.len() as u64;
        for (done, service) in (0..).zip(changed) {
            let activity = format!("pulling {service}");
            let progress = Progress { done, expected, running: 1, activity, ..Progress::default() };
            self.send(JobEvent::Progress(progress)).await;
            self.log_line(&format!("{service}: pulling the image")).await;
            self.pause(400, 1500).await?;
        }
        Ok(())
    }

    async fn dry_activate(&mut self, changed: &[&str]) -> String {
        for service in self.services() {
            let mut component = Component::new(service, ComponentState::Unchanged);
            if changed.contains(&service) {
                component.state = ComponentState::Skipped;
                "would change: the image differs".clone_into(&mut component.message);
            }
            self.send(JobEvent::Component(component)).await;
        }
        let units_restarted = changed.iter().map(|service| (*service).to_owned()).collect();
        self.send(JobEvent::Changes(Box::new(Changes { units_restarted, ..Changes::default() }))).await;
        format!("dry-activate done: {} would change", count(changed.len(), "service"))
    }

    /// Brings up the services that differ, and returns to the old ones if one does not become healthy.
    async fn deploy(&mut self, commit: &'static Commit, changed: &[&'static str]) -> Result<(), JobFailure> {
        let services = self.services();
        for service in &services {
            self.send(JobEvent::Component(Component::new(*service, ComponentState::Pending))).await;
        }
        if self.stop.is_cancelled() {
            return Err(self.stopped().await);
        }
        self.enter(PhaseName::Activate).await;
        for service in services {
            if !changed.contains(&service) {
                self.send(JobEvent::Component(Component::new(service, ComponentState::Unchanged))).await;
                continue;
            }
            let started_at = Instant::now();
            self.send(JobEvent::Component(Component::new(service, ComponentState::Running))).await;
            self.log_line(&format!("$ docker compose -p {service} up -d --remove-orphans --wait")).await;
            self.wait(900, 2200).await;
            let elapsed_ms = u64::try_from(started_at.elapsed().as_millis()).unwrap_or(u64::MAX);
            if self.engine.is_unhealthy(service, commit) {
                let mut component = Component::new(service, ComponentState::Failed);
                (component.elapsed_ms, component.message) = (elapsed_ms, "it is unhealthy".to_owned());
                self.send(JobEvent::Component(component)).await;
                self.log_line(&format!("container {service}-{service}-1 is unhealthy")).await;
                return Err(self.roll_back(service).await);
            }
            let component = Component { elapsed_ms, ..Component::new(service, ComponentState::Done) };
            self.send(JobEvent::Component(component)).await;
        }
        Ok(())
    }

    async fn roll_back(&mut self, service: &str) -> JobFailure {
        let message = format!("{service} did not become healthy");
        if self.job.request.on_failure == Some(OnFailure::Keep) {
            return JobFailure {
                rolled_back: Some(false),
                ..JobFailure::new(
                    ErrorCode::ActivationFailed,
                    format!("{message}; not rolled back, as requested"),
                )
            };
        }
        self.enter(PhaseName::Rollback).await;
        self.log_line(&format!("rolling back: {message}")).await;
        self.wait(900, 1800).await;
        let message = format!("{message}; rolled back to the previous system");
        JobFailure { rolled_back: Some(true), ..JobFailure::new(ErrorCode::ActivationFailed, message) }
    }

    async fn diagnose(&mut self) -> String {
        let mut text = "$ docker ps -a\nNAMES                          STATUS".to_owned();
        for service in self.services() {
            let name = format!("{service}-{service}-1");
            text = format!("{text}\n{name:<30} Up 7 days (healthy)");
        }
        for line in text.lines() {
            self.log_line(line).await;
        }
        let services = count(self.services().len(), "service");
        self.send(JobEvent::Diagnostics(text)).await;
        format!("diagnose done: {services}, all are well")
    }

    async fn enter(&mut self, phase: PhaseName) {
        self.phase = phase.clone();
        self.send(JobEvent::PhaseStarted(phase)).await;
    }

    async fn log_line(&mut self, line: &str) {
        // Without its log, a simulated job still has a result.
        if let Ok(piece) = self.log.line(line) {
            self.send(JobEvent::Log(piece)).await;
        }
    }

    async fn send(&self, event: JobEvent) {
        // The channel is closed only if the demo stops.
        let _ = self.events.send(event).await;
    }

    fn duration(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(self.random.u64(least..=most)).mul_f64(self.engine.pace)
    }

    /// Waits, even if the job should stop: services are being changed.
    async fn wait(&mut self, least: u64, most: u64) {
        sleep(self.duration(least, most)).await;
    }

    /// Waits; a request to stop ends the job.
    async fn pause(&mut self, least: u64, most: u64) -> Result<(), JobFailure> {
        let pause = sleep(self.duration(least, most));
        tokio::select! {
            () = pause => Ok(()),
            () = self.stop.cancelled() => Err(self.stopped().await),
        }
    }

    async fn stopped(&self) -> JobFailure {
        self.send(JobEvent::Stopping).await;
        JobFailure::new(ErrorCode::Cancelled, format!("stopped in {}; nothing was changed", self.phase))
    }
}
