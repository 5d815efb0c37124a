//! Outages of a simulated machine: its listener stops, and starts again after another boot.

use super::engine::SimulatedEngine;
use crate::listener::{self, ListenerConfig};
use crate::service::ServiceError;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Duration of a reboot on a normal host.
const REBOOT: Duration = Duration::from_secs(7);

/// Kind of an outage.
#[derive(Debug, Clone, Copy)]
enum Outage {
    /// The listener announces that it goes offline, and the machine boots again.
    Reboot,
    /// The machine disappears for this long without an announcement, then boots again.
    PowerLoss(Duration),
}

/// Causes outages of one machine.
#[derive(Debug, Clone)]
pub(super) struct OutageSender(mpsc::Sender<Outage>);

/// Receives the outages of one machine.
#[derive(Debug)]
pub(super) struct OutageReceiver(mpsc::Receiver<Outage>);

impl OutageSender {
    /// The two ends for one machine.
    pub(super) fn channel() -> (Self, OutageReceiver) {
        let (tx, rx) = mpsc::channel(1);
        (Self(tx), OutageReceiver(rx))
    }

    /// Reboots the machine.
    pub(super) async fn reboot(&self) {
        // The channel is closed only if the demo stops.
        let _ = self.0.send(Outage::Reboot).await;
    }

    /// Cuts the power of the machine for this long.
    pub(super) async fn lose_power(&self, duration: Duration) {
        let _ = self.0.send(Outage::PowerLoss(duration)).await;
    }
}

/// Runs the listener of a machine through all outages, until `shutdown` is cancelled.
pub(super) async fn run(
    config: ListenerConfig,
    engine: SimulatedEngine,
    mut outages: OutageReceiver,
    shutdown: CancellationToken,
) -> Result<(), ServiceError> {
    loop {
        let boot = shutdown.child_token();
        let mut listener = Box::pin(listener::run(config.clone(), Arc::new(engine.clone()), boot.clone()));
        let outage = tokio::select! {
            ended = &mut listener => return ended,
            Some(outage) = outages.0.recv() => outage,
        };
        let downtime = match outage {
            Outage::Reboot => {
                boot.cancel();
                listener.await?;
                REBOOT.mul_f64(engine.pace)
            }
            Outage::PowerLoss(duration) => {
                drop(listener);
                duration
            }
        };
        tokio::select! {
            () = sleep(downtime) => {}
            () = shutdown.cancelled() => return Ok(()),
        }
        engine.machine().boot(Timestamp::now());
    }
}
