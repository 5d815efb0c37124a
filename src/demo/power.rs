//! The power of a simulated machine: its listener runs while it is on, and comes back with another boot.

use super::engine::SimulatedEngine;
use crate::listener::{self, Config, ListenerError};
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// How long a reboot takes on an ordinary host.
const REBOOT: Duration = Duration::from_secs(7);

/// What takes a machine away.
#[derive(Debug, Clone, Copy)]
enum Outage {
    /// It says goodbye and boots again.
    Reboot,
    /// It is gone without a word for so long, then boots.
    Cut(Duration),
}

/// The switch of one machine.
#[derive(Debug, Clone)]
pub(super) struct Power(mpsc::Sender<Outage>);

/// What the switch is connected to.
#[derive(Debug)]
pub(super) struct Supply(mpsc::Receiver<Outage>);

impl Power {
    /// A switch and its machine's supply.
    pub(super) fn new() -> (Self, Supply) {
        let (switch, supply) = mpsc::channel(1);
        (Self(switch), Supply(supply))
    }

    /// Reboots the machine.
    pub(super) async fn reboot(&self) {
        // Nobody is there only while the demo stops.
        let _ = self.0.send(Outage::Reboot).await;
    }

    /// Takes its power away for so long.
    pub(super) async fn cut(&self, duration: Duration) {
        let _ = self.0.send(Outage::Cut(duration)).await;
    }
}

/// Runs the listener of a machine through every outage, until `shutdown`.
pub(super) async fn run(
    config: Config,
    engine: SimulatedEngine,
    mut supply: Supply,
    shutdown: CancellationToken,
) -> Result<(), ListenerError> {
    loop {
        let boot = shutdown.child_token();
        let mut listener = Box::pin(listener::run(config.clone(), Arc::new(engine.clone()), boot.clone()));
        let outage = tokio::select! {
            ended = &mut listener => return ended,
            Some(outage) = supply.0.recv() => outage,
        };
        let away = match outage {
            Outage::Reboot => {
                boot.cancel();
                listener.await?;
                REBOOT.mul_f64(engine.pace)
            }
            Outage::Cut(duration) => {
                drop(listener);
                duration
            }
        };
        tokio::select! {
            () = sleep(away) => {}
            () = shutdown.cancelled() => return Ok(()),
        }
        engine.machine().boot(Timestamp::now());
    }
}
