//! An engine that only pretends: phases that take a while, a build that counts up, a log.

use crate::activation::{Engine, Facts, Failure, JobLog, Order, Outcome, Step, Steps, Work};
use crate::protocol::{Action, ErrorCode, Name, PhaseName, Progress};
use jiff::{SignedDuration, Timestamp};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What the packages of a simulated build are called.
const PACKAGES: [&str; 8] = [
    "linux-6.12.9",
    "systemd-257.3",
    "openssl-3.4.1",
    "nginx-1.28.0",
    "unit-files",
    "etc",
    "initrd",
    "nixos-system",
];

/// Pretends to deploy.
#[derive(Debug, Clone)]
pub struct SimulatedEngine {
    facts: Arc<Mutex<Facts>>,
    hostname: Name,
    fails: bool,
}

impl SimulatedEngine {
    /// An engine for one host; where `fails`, its health check never succeeds.
    pub fn new(hostname: &Name, fails: bool) -> Self {
        let facts = Facts {
            os_version: Some("NixOS 26.05 (simulated)".to_owned()),
            system: Some(system(hostname)),
            booted_system: Some(system(hostname)),
            generation: Some(fastrand::u64(90..200)),
            reboot_needed: Some(false),
            boot_at: Timestamp::now().checked_sub(SignedDuration::from_hours(fastrand::i64(5..900))).ok(),
            nix_free_bytes: Some(fastrand::u64(20..400) << 30),
            boot_free_bytes: Some(fastrand::u64(100..800) << 20),
        };
        Self { facts: Arc::new(Mutex::new(facts)), hostname: hostname.clone(), fails }
    }
}

fn system(hostname: &Name) -> String {
    let hash: String =
        std::iter::repeat_with(|| fastrand::choice(b"0123456789abcdfghijklmnpqrsvwxyz".iter()))
            .flatten()
            .take(32)
            .map(|c| char::from(*c))
            .collect();
    format!("/nix/store/{hash}-nixos-system-{hostname}-26.05")
}

impl Engine for SimulatedEngine {
    fn actions(&self) -> Vec<Action> {
        let mut actions = Action::BASE.to_vec();
        actions.extend([Action::Build, Action::Cancel]);
        actions
    }

    fn facts(&self) -> Facts {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn work(&self, order: Order, steps: Steps, stop: CancellationToken) -> Work {
        let engine = self.clone();
        Box::pin(async move {
            let log = JobLog::open(&order.folder.log()).map_err(|error| broken(&error))?;
            Pretence { engine, log, steps, stop, phase: PhaseName::Prepare }.run(&order.request.action).await
        })
    }
}

fn broken(error: &io::Error) -> Failure {
    Failure::new(ErrorCode::Internal, format!("could not keep the log of the job: {error}"))
}

/// One simulated job.
struct Pretence {
    engine: SimulatedEngine,
    log: JobLog,
    steps: Steps,
    stop: CancellationToken,
    phase: PhaseName,
}

impl Pretence {
    async fn run(mut self, action: &Action) -> Outcome {
        let new = system(&self.engine.hostname);
        self.enter(PhaseName::Prepare).await;
        self.say("resolving the revision").await?;
        self.tell(Step::Commit("b04c7de19f3a52886e0d4c1b7a9f6e5d4c3b2a10".to_owned())).await;
        self.pause(0.2, 0.6).await?;
        self.enter(PhaseName::Build).await;
        self.build().await?;
        self.tell(Step::System(new.clone())).await;
        if matches!(action, Action::Build | Action::DryActivate) {
            return Ok(format!("{action} done"));
        }
        self.enter(PhaseName::Check).await;
        self.pause(0.1, 0.3).await?;
        if *action != Action::Boot {
            self.enter(PhaseName::Activate).await;
            self.say("restarting the following units: nginx.service, systemd-resolved.service").await?;
            self.pause(0.3, 0.9).await?;
            self.enter(PhaseName::Verify).await;
            self.pause(0.2, 0.7).await?;
            if self.engine.fails {
                return self.fail().await;
            }
        }
        self.change(|facts| facts.system = Some(new));
        if *action != Action::Test {
            self.enter(PhaseName::Persist).await;
            self.pause(0.1, 0.3).await?;
            self.change(|facts| facts.generation = facts.generation.map(|generation| generation + 1));
            if let Some(generation) = self.engine.facts().generation {
                self.tell(Step::Generation(generation)).await;
            }
        }
        self.say("done").await?;
        Ok(format!("{action} done"))
    }

    async fn build(&mut self) -> Result<(), Failure> {
        let expected = PACKAGES.len() as u64;
        for (done, package) in (0..).zip(PACKAGES) {
            self.say(&format!("building /nix/store/…-{package}.drv")).await?;
            let progress = Progress {
                done,
                expected,
                running: 1,
                downloaded_bytes: (done * 37) << 20,
                expected_bytes: (expected * 37) << 20,
                activity: format!("building {package}"),
            };
            self.tell(Step::Progress(progress)).await;
            self.pause(0.05, 0.5).await?;
        }
        Ok(())
    }

    async fn fail(&mut self) -> Outcome {
        self.say("health check: curl -fsS http://localhost/ : connection refused").await?;
        self.enter(PhaseName::Rollback).await;
        self.say("activating what ran before").await?;
        self.pause(0.2, 0.5).await?;
        let message = "the health check did not succeed within 60 s; back on what ran before".to_owned();
        Err(Failure { code: ErrorCode::VerificationFailed, message, rolled_back: Some(true) })
    }

    fn change(&self, change: impl FnOnce(&mut Facts)) {
        change(&mut self.engine.facts.lock().unwrap_or_else(PoisonError::into_inner));
    }

    async fn enter(&mut self, phase: PhaseName) {
        self.phase = phase.clone();
        self.tell(Step::Enter(phase)).await;
    }

    async fn say(&mut self, line: &str) -> Result<(), Failure> {
        let piece = self.log.line(line).map_err(|error| broken(&error))?;
        self.tell(Step::Log(piece)).await;
        Ok(())
    }

    async fn tell(&self, step: Step) {
        // Nobody listens only while the demo stops.
        let _ = self.steps.send(step).await;
    }

    /// Takes between `least` and `most` seconds; asked to stop, it does where nothing was changed yet.
    async fn pause(&self, least: f64, most: f64) -> Result<(), Failure> {
        let pause = Duration::from_secs_f64(least + fastrand::f64() * (most - least));
        let may_stop = matches!(self.phase, PhaseName::Prepare | PhaseName::Build | PhaseName::Check);
        tokio::select! {
            () = tokio::time::sleep(pause) => Ok(()),
            () = self.stop.cancelled(), if may_stop => {
                Err(Failure::new(ErrorCode::Cancelled, format!("stopped in {}; nothing was changed", self.phase)))
            }
        }
    }
}
