//! Starts the listener of a simulated host, with its history on disk.

use super::compose::SimulatedCompose;
use super::engine::SimulatedEngine;
use super::outage::{self, OutageSender};
use super::seed_history::SeedHistory;
use super::{DemoError, DemoHost, commit};
use crate::nats::Nkey;
use crate::service::ServiceError;
use crate::state_dir::ServiceIdentity;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// What the listeners of all hosts have in common.
#[derive(Clone)]
pub(super) struct Launcher {
    pub(super) directory: PathBuf,
    pub(super) url: String,
    pub(super) history: Arc<SeedHistory>,
    /// Factor for all durations of a job.
    pub(super) pace: f64,
    pub(super) shutdown: CancellationToken,
}

impl Launcher {
    /// Starts the listener of a host as a task of `listeners`; returns the engine of its machine.
    pub(super) fn start(
        &self,
        host: &DemoHost,
        seed: Nkey,
        listeners: &mut JoinSet<Result<(), ServiceError>>,
    ) -> Result<SimulatedEngine, DemoError> {
        let state = self.state(host);
        let machine = self.history.replay_on(host, &state)?;
        let (outages, outage_rx) = OutageSender::channel();
        let engine = SimulatedEngine {
            host: Arc::new(host.clone()),
            machine: Arc::new(Mutex::new(machine)),
            outages,
            flake: self.history.flake(),
            pace: self.pace,
        };
        let config = host.config(&self.url, seed, &self.history.flake(), state)?;
        listeners.spawn(outage::run(config, engine.clone(), outage_rx, self.shutdown.clone()));
        Ok(engine)
    }

    /// Starts the listener of a host with Docker Compose.
    pub(super) fn start_compose(
        &self,
        host: &DemoHost,
        seed: Nkey,
        listeners: &mut JoinSet<Result<(), ServiceError>>,
    ) -> Result<(), DemoError> {
        let config = host.config(&self.url, seed, &self.history.flake(), self.state(host))?;
        let engine = Arc::new(SimulatedCompose::new(host, self.pace));
        listeners.spawn(crate::listener::run(config, engine, self.shutdown.clone()));
        Ok(())
    }

    /// Starts the listener of a host that was dormant, with the identity that it was announced with.
    pub(super) fn wake(
        &self,
        host: &DemoHost,
        seed: Nkey,
        listeners: &mut JoinSet<Result<(), ServiceError>>,
    ) -> Result<(), DemoError> {
        let state = self.state(host);
        // A failure to create the directory or its files fails the start below.
        let _ = std::fs::create_dir_all(&state);
        let _ = ServiceIdentity::create(&state, Self::instance(host));
        self.start(host, seed, listeners).map(drop)
    }

    /// The instance of a host that was dormant.
    pub(super) fn instance(host: &DemoHost) -> String {
        format!("{:016x}", commit::seed(host.name.as_str()))
    }

    fn state(&self, host: &DemoHost) -> PathBuf {
        self.directory.join("state").join(host.name.as_str())
    }
}
