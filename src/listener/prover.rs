//! Proves to the activation program that this host can still be reached: a fresh connection with the present configuration,
//! every subscription, and an answer of the server after them.

use super::Config;
use crate::bus::{Bus, ConnectError, LinkError};
use crate::jobs::{JobFolder, Proof, Record};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::AbortHandle;
use tokio::time::sleep;

/// The pause between two attempts.
const PAUSE: Duration = Duration::from_secs(1);
/// How long the server may take to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// Proves the link for one job, once it is asked for.
#[derive(Debug)]
pub(super) struct Prover {
    config: Arc<Config>,
    /// How often the service has started, this time included.
    starts: u64,
    /// The nonce that is worked on, and who works on it.
    at_work: Option<(String, AbortHandle)>,
}

impl Prover {
    pub(super) fn new(config: Arc<Config>, starts: u64) -> Self {
        Self { config, starts, at_work: None }
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
        let work = tokio::spawn(prove(self.config.clone(), nonce.clone(), folder));
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

async fn prove(config: Arc<Config>, nonce: String, folder: JobFolder) {
    loop {
        let mut proof = Proof {
            nonce: nonce.clone(),
            proved: true,
            refused: false,
            connected: true,
            said: String::new(),
            rules: Some(config.rules.clone()),
        };
        if let Err(failed) = attempt(&config).await {
            proof.proved = false;
            (proof.refused, proof.connected, proof.said) = (failed.refused, failed.connected, failed.why);
        }
        let (to, written) = (folder.clone(), proof.clone());
        let wrote = tokio::task::spawn_blocking(move || to.write_proof(&written)).await;
        match wrote {
            Ok(Ok(())) if proof.proved => return,
            Ok(Err(error)) => tracing::error!(%error, "the proof could not be written down"),
            _ => tracing::warn!(reason = proof.said, "the link is not proven yet"),
        }
        sleep(PAUSE).await;
    }
}

/// Why an attempt failed.
struct Failed {
    /// Whether the connection was refused.
    refused: bool,
    /// Whether a connection was made.
    connected: bool,
    why: String,
}

/// Whether everything this listener needs works on a new connection.
async fn attempt(config: &Config) -> Result<(), Failed> {
    let bus = Bus::once(&config.settings).await.map_err(|error| Failed {
        refused: is_refused(&error),
        connected: false,
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
    match refusals.try_recv() {
        Ok(refusal) => Err(Failed { refused: false, connected: true, why: refusal.to_string() }),
        Err(_) => Ok(()),
    }
}

/// A refused connection proves that the network works; a refused key does not.
fn is_refused(error: &ConnectError) -> bool {
    matches!(error, ConnectError::Unreachable { reason, .. } if reason.to_lowercase().contains("connection refused"))
}
