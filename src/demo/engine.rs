//! The engine of a simulated host: it plays the script of each job in time, by the rules of the real pipeline.

mod player;

use super::DemoHost;
use super::machine::Machine;
use super::power::Power;
use super::script::Script;
use crate::activation::{Engine, Facts, JobLog, Order, Steps, Work};
use crate::protocol::Action;
use player::Player;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_util::sync::CancellationToken;

/// Pretends to deploy.
#[derive(Debug, Clone)]
pub(super) struct SimulatedEngine {
    pub(super) host: Arc<DemoHost>,
    pub(super) machine: Arc<Mutex<Machine>>,
    pub(super) power: Power,
    /// The URL of the flake that it pretends to deploy.
    pub(super) flake: Arc<str>,
    /// How much of the time that things take on an ordinary host they take here.
    pub(super) pace: f64,
}

impl SimulatedEngine {
    pub(super) fn machine(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine for SimulatedEngine {
    fn actions(&self) -> Vec<Action> {
        let mut actions = Action::BASE.to_vec();
        actions.extend([Action::Build, Action::Cancel, Action::Rollback, Action::Reboot]);
        actions
    }

    fn facts(&self) -> Facts {
        self.machine().facts()
    }

    fn work(&self, order: Order, steps: Steps, stop: CancellationToken) -> Work {
        let engine = self.clone();
        Box::pin(async move {
            let script = Script::of(&order.request, &engine.host, &engine.machine(), &engine.flake);
            let log = JobLog::open(&order.folder.log()).map_err(|error| player::log_failed(&error))?;
            Player::new(engine, order, log, steps, stop).play(script).await
        })
    }

    fn can_repeat(&self) -> bool {
        true
    }

    fn boot_id(&self) -> Option<String> {
        Some(self.machine().boot_id())
    }
}
