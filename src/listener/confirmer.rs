//! Confirms to the worker that this host is still reachable. A new connection with the current configuration makes every
//! subscription and gets a reply from the server after them.

use super::ListenerConfig;
use super::peers::{self, PeerWatch};
use crate::activation::Probe;
use crate::jobs::{Confirmation, JobDir, JobRecord, PeerBaseline};
use crate::nats::{Client, ConnectError, NatsError};
use crate::protocol::PhaseName;
use futures_util::FutureExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};
use tracing::Instrument;

/// Pause between two attempts.
const PAUSE: Duration = Duration::from_secs(1);
/// How long the server may take to answer a ping.
const PING_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one attempt waits for another client.
const PEER_TIMEOUT: Duration = Duration::from_mins(1);

/// Confirms the connection for one job, once its worker requests that.
#[derive(Debug)]
pub(super) struct Confirmer {
    config: Arc<ListenerConfig>,
    /// Number of service starts, including this one.
    starts: u64,
    /// The nonce being confirmed, and the task that confirms it.
    active: Option<(String, AbortHandle)>,
    /// The nonce that operators who follow the job must send back.
    nonce_sender: watch::Sender<Option<String>>,
}

impl Confirmer {
    pub(super) fn new(config: Arc<ListenerConfig>, starts: u64) -> Self {
        Self { config, starts, active: None, nonce_sender: watch::Sender::new(None) }
    }

    /// The nonce that operators who follow the job must send back.
    pub(super) fn nonce_receiver(&self) -> watch::Receiver<Option<String>> {
        self.nonce_sender.subscribe()
    }

    /// Finds out before an activation which other clients are reachable.
    pub(super) fn baseline_probe(&self) -> Probe<Result<PeerBaseline, String>> {
        let (config, nonce_sender) = (self.config.clone(), self.nonce_sender.clone());
        Probe::new(move || {
            let (config, nonce_sender) = (config.clone(), nonce_sender.clone());
            async move { peers::find_baseline(&config, &nonce_sender).await }.boxed()
        })
    }

    /// Starts to confirm if the record requests it and this process may do so: if a service manager runs the listener,
    /// only a process started after the handover may.
    pub(super) fn start_if_requested(&mut self, record: &JobRecord, job_dir: JobDir) {
        let (Some(nonce), Some(handover)) = (&record.nonce, &record.handover) else { return };
        let may_confirm = handover.listener_unit.is_none() || self.starts > handover.starts;
        let known = self.active.as_ref().is_some_and(|(known, _)| known == nonce);
        if record.is_final() || !may_confirm || known {
            return;
        }
        self.stop();
        let job_dir = job_dir.with_runtime(&self.config.runtime_dir);
        let task = ConfirmTask {
            config: self.config.clone(),
            nonce: nonce.clone(),
            baseline: handover.peers,
            touched: record.connection_touched,
            rolling_back: record
                .report
                .phases
                .running()
                .is_some_and(|phase| phase.name == PhaseName::Rollback),
            nonce_sender: self.nonce_sender.clone(),
        };
        let work = tokio::spawn(confirm(task, job_dir).in_current_span());
        self.active = Some((nonce.clone(), work.abort_handle()));
    }

    fn stop(&mut self) {
        if let Some((_, work)) = self.active.take() {
            work.abort();
        }
    }
}

impl Drop for Confirmer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// One confirmation.
struct ConfirmTask {
    config: Arc<ListenerConfig>,
    nonce: String,
    /// Which client was reachable before the activation.
    baseline: PeerBaseline,
    /// Whether connections from before the activation confirm nothing.
    touched: bool,
    /// Whether the old system is being confirmed, after a rollback.
    rolling_back: bool,
    nonce_sender: watch::Sender<Option<String>>,
}

async fn confirm(task: ConfirmTask, job_dir: JobDir) {
    // A previous listener may have confirmed this nonce already.
    if job_dir
        .confirmation()
        .is_some_and(|confirmation| confirmation.nonce == task.nonce && confirmation.confirmed)
    {
        return;
    }
    loop {
        let mut confirmation = Confirmation {
            nonce: task.nonce.clone(),
            confirmed: true,
            refused: false,
            connected: true,
            reason: String::new(),
            rules: Some(task.config.rules.clone()),
        };
        if let Err(failed) = task.attempt(&job_dir).await {
            confirmation.confirmed = false;
            (confirmation.refused, confirmation.connected, confirmation.reason) =
                (failed.refused, failed.connected, failed.reason);
        }
        write(&job_dir, &confirmation).await;
        if confirmation.confirmed {
            return;
        }
        tracing::warn!(reason = confirmation.reason, "the connection is not confirmed yet");
        sleep(PAUSE).await;
    }
}

async fn write(job_dir: &JobDir, confirmation: &Confirmation) {
    let (to, written) = (job_dir.clone(), confirmation.clone());
    if let Ok(Err(error)) = tokio::task::spawn_blocking(move || to.write_confirmation(&written)).await {
        tracing::error!(%error, "failed to write the confirmation");
    }
}

/// Why an attempt failed.
struct AttemptError {
    /// Whether the connection was refused.
    refused: bool,
    /// Whether a connection succeeded, which shows that the network works.
    connected: bool,
    /// Why the attempt failed.
    reason: String,
}

impl ConfirmTask {
    /// Tests everything that this listener needs on a new connection.
    async fn attempt(&self, job_dir: &JobDir) -> Result<(), AttemptError> {
        let config = &self.config;
        let nats = Client::connect(&config.settings).await.map_err(|error| AttemptError {
            refused: is_refused(&error),
            // The server responds but rejects the old system, so the server itself was changed: a reboot would not help.
            connected: self.rolling_back
                && matches!(error, ConnectError::KeyRejected { .. } | ConnectError::Tls { .. }),
            reason: error.to_string(),
        })?;
        let mut violations = nats.permission_violations();
        let other =
            |error: NatsError| AttemptError { refused: false, connected: false, reason: error.to_string() };
        let mut subscriptions = Vec::new();
        for subject in config.deploy_subjects.iter().chain([&config.discover_subject]) {
            subscriptions.push(nats.subscribe(subject, |_, _| ()).await.map_err(other)?);
        }
        // A permission violation arrives before the first ping reply, and is forwarded before the second one.
        for _ in 0..2 {
            nats.ping(PING_TIMEOUT).await.map_err(other)?;
        }
        if let Ok(violation) = violations.try_recv() {
            return Err(AttemptError { refused: false, connected: true, reason: violation.to_string() });
        }
        // The health checks of the new system replace another client.
        let is_checked =
            self.baseline == PeerBaseline::HealthChecks && !config.rules.health_checks.is_empty();
        if is_checked || !peers::is_peer_required(config).await {
            return Ok(());
        }
        self.wait_for_peer(&nats, job_dir).await
    }

    /// Waits for another client, because this host's own connection confirms nothing.
    async fn wait_for_peer(&self, nats: &Client, job_dir: &JobDir) -> Result<(), AttemptError> {
        // The others may have gone offline, which is not a reason to reboot a host whose connections were not touched.
        let connected =
            matches!(self.baseline, PeerBaseline::Operator | PeerBaseline::NotNeeded) || !self.touched;
        let reason = format!(
            "the host reaches its NATS server, but no other client has confirmed it since the activation; {}",
            peers::operator_advice(&self.config)
        );
        let failed = AttemptError { refused: false, connected, reason };
        let waiting = Confirmation {
            nonce: self.nonce.clone(),
            confirmed: false,
            refused: false,
            connected,
            reason: failed.reason.clone(),
            rules: None,
        };
        // The worker reads this if its time limit ends before the wait does.
        write(job_dir, &waiting).await;
        let mut peer_watch = match PeerWatch::open(nats, &self.config).await {
            Ok(peer_watch) => peer_watch,
            Err(error) => return Err(AttemptError { reason: error.to_string(), ..failed }),
        };
        // After a rollback any host is enough, because the restored system is the one that others could reach before.
        let baseline = if self.rolling_back { PeerBaseline::NotNeeded } else { self.baseline };
        let touched = self.touched && !self.rolling_back;
        let until = Instant::now() + PEER_TIMEOUT;
        let is_heard = peer_watch
            .wait_for_sufficient_peer(
                &self.config,
                &self.nonce,
                &self.nonce_sender,
                until,
                (baseline, touched),
            )
            .await;
        if is_heard { Ok(()) } else { Err(failed) }
    }
}

/// A refused connection shows that the network works; a rejected key does not.
fn is_refused(error: &ConnectError) -> bool {
    matches!(error, ConnectError::Unreachable { reason, .. } if reason.to_lowercase().contains("connection refused"))
}
