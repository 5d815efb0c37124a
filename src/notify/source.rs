//! The source of events: what hosts and rollouts report over NATS, as far as it is proven.

use crate::client::{Operator, Watch, WatchEvent};
use crate::nats::NatsError;
use crate::protocol::{DeployReport, HostIdentity, Inbound, Name, Presence, QueryReply, RolloutStatus};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, interval_at};
use tokio_util::sync::CancellationToken;

/// Capacity of the channel between the watch and the service.
const CHANNEL_CAPACITY: usize = 256;
/// Interval at which the inventory is saved.
const SAVE_INTERVAL: Duration = Duration::from_mins(10);

/// What a source reports.
#[derive(Debug)]
pub(super) enum SourceEvent {
    /// The state of a job. `is_live` is whether it was sent now, and not as the last known job of a host.
    Report { report: Arc<DeployReport>, is_live: bool },
    /// The state of a host, without its jobs.
    Host(Box<Presence>),
    /// Whether the messages of a host are proven.
    Identity(Name, HostIdentity),
    /// The state of a rollout.
    Rollout(Box<RolloutStatus>),
    /// Whether events can arrive.
    Connection(bool),
}

/// The events of the fleet.
#[derive(Debug)]
pub(super) struct FleetSource {
    events: mpsc::Receiver<SourceEvent>,
    stop: CancellationToken,
    pump: JoinHandle<()>,
}

impl FleetSource {
    /// Subscribes to the fleet. The inventory of the operator is saved from time to time and at the end.
    pub(super) async fn start(mut operator: Operator) -> Result<Self, NatsError> {
        let watch = Watch::start(&mut operator).await?;
        let (into, events) = mpsc::channel(CHANNEL_CAPACITY);
        let stop = CancellationToken::new();
        let pump = tokio::spawn(pump(watch, into, stop.clone()));
        Ok(Self { events, stop, pump })
    }

    /// The next event. Cancel safe. Never returns after the source has ended.
    pub(super) async fn next(&mut self) -> SourceEvent {
        match self.events.recv().await {
            Some(event) => event,
            None => std::future::pending().await,
        }
    }

    /// The next event, if it has already arrived.
    pub(super) fn try_next(&mut self) -> Option<SourceEvent> {
        self.events.try_recv().ok()
    }

    /// Unsubscribes and saves the inventory.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        drop(self.events);
        let _ = self.pump.await;
    }
}

/// Forwards events. A separate task, because `Watch::next` must not be interrupted.
async fn pump(mut watch: Watch, into: mpsc::Sender<SourceEvent>, stop: CancellationToken) {
    let mut save_at = interval_at(Instant::now() + SAVE_INTERVAL, SAVE_INTERVAL);
    loop {
        let event = tokio::select! {
            () = stop.cancelled() => break,
            _ = save_at.tick() => {
                save(&watch).await;
                continue;
            }
            event = watch.next() => event,
        };
        for event in source_events(event) {
            if into.send(event).await.is_err() {
                save(&watch).await;
                return;
            }
        }
    }
    save(&watch).await;
}

async fn save(watch: &Watch) {
    let inventory = watch.inventory().clone();
    if let Ok(Err(error)) = spawn_blocking(move || inventory.save()).await {
        tracing::error!(%error, "failed to save the inventory");
    }
}

fn source_events(event: WatchEvent) -> Vec<SourceEvent> {
    match event {
        WatchEvent::Messages(messages) => messages.into_iter().flatten().flat_map(of_message).collect(),
        WatchEvent::Connection(connection) => vec![SourceEvent::Connection(connection.up)],
        WatchEvent::Rollout(status) => vec![SourceEvent::Rollout(status)],
        // Builds are not deployments, and the service shows denied subjects as warnings.
        WatchEvent::Build(_)
        | WatchEvent::BuildsDenied
        | WatchEvent::PermissionDenied(_)
        | WatchEvent::RolloutsDenied(_) => Vec::new(),
    }
}

fn of_message(message: Inbound) -> Vec<SourceEvent> {
    let last_known = |report| SourceEvent::Report { report, is_live: false };
    match message {
        Inbound::Report(report) => vec![SourceEvent::Report { report: Arc::new(*report), is_live: true }],
        Inbound::Reply(_, QueryReply::Job(answer)) => answer.report.into_iter().map(last_known).collect(),
        Inbound::Presence(mut presence) | Inbound::Reply(_, QueryReply::Host(mut presence)) => {
            let host = presence.hostname.clone();
            let jobs = [presence.last_change.take(), presence.job.take()].into_iter().flatten();
            // A host reports only about itself.
            let own = jobs.filter(|report| report.hostname == host).map(last_known);
            own.collect::<Vec<_>>().into_iter().chain([SourceEvent::Host(presence)]).collect()
        }
        Inbound::Identity(host, identity) => vec![SourceEvent::Identity(host, identity)],
        Inbound::Reply(..) | Inbound::Log(_) => Vec::new(),
    }
}
