//! Proves to the activation program that this host can still be reached: a fresh connection with the present configuration,
//! every subscription, and an answer of the server after them.

use super::Config;
use super::peers::{self, Ears};
use crate::activation::Probe;
use crate::bus::{Bus, ConnectError, LinkError};
use crate::jobs::{JobFolder, PeersBefore, Proof, Record};
use crate::protocol::PhaseName;
use futures_util::FutureExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};

/// The pause between two attempts.
const PAUSE: Duration = Duration::from_secs(1);
/// How long the server may take to answer.
const ANSWER: Duration = Duration::from_secs(5);
/// How long another client is waited for before a new attempt.
const PEERS: Duration = Duration::from_mins(1);

/// Proves the link for one job, once it is asked for.
#[derive(Debug)]
pub(super) struct Prover {
    config: Arc<Config>,
    /// How often the service has started, this time included.
    starts: u64,
    /// The nonce that is worked on, and who works on it.
    at_work: Option<(String, AbortHandle)>,
    /// The nonce that operators who follow the job are asked to send back.
    wanted: watch::Sender<Option<String>>,
}

impl Prover {
    pub(super) fn new(config: Arc<Config>, starts: u64) -> Self {
        Self { config, starts, at_work: None, wanted: watch::Sender::new(None) }
    }

    /// The nonce that operators who follow the job are asked to send back.
    pub(super) fn wanted(&self) -> watch::Receiver<Option<String>> {
        self.wanted.subscribe()
    }

    /// Listens for other clients before an activation.
    pub(super) fn peers(&self) -> Probe<Result<PeersBefore, String>> {
        let (config, wanted) = (self.config.clone(), self.wanted.clone());
        Probe::new(move || {
            let (config, wanted) = (config.clone(), wanted.clone());
            async move { peers::before(&config, &wanted).await }.boxed()
        })
    }

    /// Begins to prove, where the record asks for it and this process may answer: one that was started after the activation,
    /// where a service manager could have started one.
    pub(super) fn look(&mut self, record: &Record, folder: JobFolder) {
        let (Some(nonce), Some(orders)) = (&record.nonce, &record.orders) else { return };
        let may = orders.listener_unit.is_none() || self.starts > orders.starts;
        let known = self.at_work.as_ref().is_some_and(|(known, _)| known == nonce);
        if record.is_final() || !may || known {
            return;
        }
        self.stop();
        let folder = folder.with_runtime(&self.config.runtime_dir);
        let task = Task {
            config: self.config.clone(),
            nonce: nonce.clone(),
            peers: orders.peers,
            touched: record.connection_touched,
            rolling_back: record
                .report
                .phases
                .running()
                .is_some_and(|phase| phase.name == PhaseName::Rollback),
            wanted: self.wanted.clone(),
        };
        let work = tokio::spawn(prove(task, folder));
        self.at_work = Some((nonce.clone(), work.abort_handle()));
    }

    fn stop(&mut self) {
        if let Some((_, work)) = self.at_work.take() {
            work.abort();
        }
    }
}

impl Drop for Prover {
    fn drop(&mut self) {
        self.stop();
    }
}

/// One confirmation.
struct Task {
    config: Arc<Config>,
    nonce: String,
    /// Who was heard before the activation.
    peers: PeersBefore,
    /// Whether a connection of before confirms nothing.
    touched: bool,
    /// Whether it is the old system that is to be confirmed.
    rolling_back: bool,
    wanted: watch::Sender<Option<String>>,
}

async fn prove(task: Task, folder: JobFolder) {
    // By a listener before this one.
    if folder.proof().is_some_and(|proof| proof.nonce == task.nonce && proof.proved) {
        return;
    }
    loop {
        let mut proof = Proof {
            nonce: task.nonce.clone(),
            proved: true,
            refused: false,
            connected: true,
            said: String::new(),
            rules: Some(task.config.rules.clone()),
        };
        if let Err(failed) = task.attempt(&folder).await {
            proof.proved = false;
            (proof.refused, proof.connected, proof.said) = (failed.refused, failed.connected, failed.why);
        }
        write(&folder, &proof).await;
        if proof.proved {
            return;
        }
        tracing::warn!(reason = proof.said, "the link is not proven yet");
        sleep(PAUSE).await;
    }
}

async fn write(folder: &JobFolder, proof: &Proof) {
    let (to, written) = (folder.clone(), proof.clone());
    if let Ok(Err(error)) = tokio::task::spawn_blocking(move || to.write_proof(&written)).await {
        tracing::error!(%error, "the proof could not be written down");
    }
}

/// Why an attempt failed.
struct Failed {
    /// Whether the connection was refused.
    refused: bool,
    /// Whether a connection was made that says that the network works.
    connected: bool,
    why: String,
}

impl Task {
    /// Whether everything this listener needs works on a new connection.
    async fn attempt(&self, folder: &JobFolder) -> Result<(), Failed> {
        let config = &self.config;
        let bus = Bus::once(&config.settings).await.map_err(|error| Failed {
            refused: is_refused(&error),
            // A server that answers and does not let the old system in was changed itself: no reboot would help.
            connected: self.rolling_back
                && matches!(error, ConnectError::KeyRefused { .. } | ConnectError::Tls { .. }),
            why: error.to_string(),
        })?;
        let mut refusals = bus.refusals();
        let other = |error: LinkError| Failed { refused: false, connected: false, why: error.to_string() };
        let mut held = Vec::new();
        for subject in config.deploy_subjects.iter().chain([&config.discover_subject]) {
            held.push(bus.subscribe(subject, |_, _| ()).await.map_err(other)?);
        }
        // A refusal comes before the first answer, and by the second one it has been handed on.
        for _ in 0..2 {
            bus.ping(ANSWER).await.map_err(other)?;
        }
        if let Ok(refusal) = refusals.try_recv() {
            return Err(Failed { refused: false, connected: true, why: refusal.to_string() });
        }
        // Health checks take the place of another client, those of the new system.
        let is_checked = self.peers == PeersBefore::Alone && !config.rules.health_checks.is_empty();
        if is_checked || !peers::are_needed(config).await {
            return Ok(());
        }
        self.hear_another(&bus, folder).await
    }

    /// Waits for another client, for its own connection says nothing.
    async fn hear_another(&self, bus: &Bus, folder: &JobFolder) -> Result<(), Failed> {
        // Others may have gone, which is no reason to reboot a host whose connections were not touched.
        let connected = matches!(self.peers, PeersBefore::Operator | PeersBefore::NotNeeded) || !self.touched;
        let why = format!(
            "the host reaches its NATS server, but has heard no other client since the activation; {}",
            peers::follow(&self.config)
        );
        let failed = Failed { refused: false, connected, why };
        let waiting = Proof {
            nonce: self.nonce.clone(),
            proved: false,
            refused: false,
            connected,
            said: failed.why.clone(),
            rules: None,
        };
        // Seen if the time for a confirmation ends before the wait does.
        write(folder, &waiting).await;
        let mut ears = match Ears::open(bus, &self.config).await {
            Ok(ears) => ears,
            Err(error) => return Err(Failed { why: error.to_string(), ..failed }),
        };
        // On the way back any host will do: what was restored is what let the others in before.
        let before = if self.rolling_back { PeersBefore::NotNeeded } else { self.peers };
        let touched = self.touched && !self.rolling_back;
        let until = Instant::now() + PEERS;
        let heard = ears.hear_enough(&self.config, &self.nonce, &self.wanted, until, (before, touched)).await;
        if heard { Ok(()) } else { Err(failed) }
    }
}

/// A refused connection proves that the network works; a refused key does not.
fn is_refused(error: &ConnectError) -> bool {
    matches!(error, ConnectError::Unreachable { reason, .. } if reason.to_lowercase().contains("connection refused"))
}
