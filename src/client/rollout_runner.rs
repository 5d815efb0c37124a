//! The public side of a rollout: its status for all consoles, and commands from other operators.

use super::operator::fresh_id;
use super::saved_rollouts::RolloutFile;
use super::{BatchKind, Operator, Plan};
use crate::keys::{SignatureRejection, TrustedKey, check_clock, check_lifetime, verify_signer};
use crate::nats::{Client, NatsError, Received, Subscription};
use crate::ordered::CollectOrdered;
use crate::protocol::{
    BatchRun, ControlAnswer, Id, Name, PublicKey, Purpose, RolloutCommand, RolloutControl, RolloutState,
    RolloutStatus, WireError, rollout_control_subject, rollout_subject,
};
use crate::text::printable;
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Interval, MissedTickBehavior, interval};

/// The longest time between two statuses.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// The most commands that one process accepts for a rollout. Their ids are remembered until it ends.
const MAX_COMMANDS: usize = 1000;

/// A command for a rollout from the process that runs it.
#[derive(Debug)]
pub enum LocalCommand {
    /// The same as a command of another operator.
    Control(RolloutCommand),
    /// Send nothing more, because another process is to take over.
    HandOver,
    /// Send no further batch, because this process ends. The sender is dropped once other consoles know.
    End(oneshot::Sender<()>),
}

/// Sends commands to a rollout of this process.
pub type LocalCommands = mpsc::UnboundedSender<LocalCommand>;

/// What the runner of a rollout received.
pub(super) enum RunnerEvent {
    Local(LocalCommand),
    Control(Box<Received<Result<RolloutControl, WireError>>>),
    Heartbeat,
}

/// Publishes the status of a rollout and receives commands.
pub(super) struct RolloutRunner {
    nats: Client,
    id: Id,
    instance: Id,
    seq: u64,
    started_at: Timestamp,
    issuer: String,
    batches: Vec<BatchRun>,
    hosts: Vec<Name>,
    /// The first host of the next status.
    next_host: usize,
    control: Subscription<Result<RolloutControl, WireError>>,
    local: mpsc::UnboundedReceiver<LocalCommand>,
    /// Kept so that `local` never ends.
    local_sender: LocalCommands,
    heartbeat: Interval,
    trusted: Vec<TrustedKey>,
    accepted: BTreeSet<Id>,
    answer: Option<ControlAnswer>,
    /// The saved state of the rollout; `None` if it is not saved.
    pub(super) file: Option<Arc<Mutex<RolloutFile>>>,
    /// What the last status said.
    published: Option<StatusKey>,
    /// Whether the server refuses the status.
    pub(super) is_denied: bool,
}

/// The part of a status whose change is published at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StatusKey {
    pub(super) state: RolloutState,
    pub(super) reason: Option<String>,
    pub(super) sent_batches: usize,
    pub(super) next_at: Option<Timestamp>,
    pub(super) answer: Option<ControlAnswer>,
}

impl RolloutRunner {
    /// Subscribes to the commands of a rollout. `None` for a plan without batches.
    pub(super) async fn start(operator: &Operator, plan: &Plan) -> Result<Option<Self>, NatsError> {
        if plan.rollout.batches().len() < 2 {
            return Ok(None);
        }
        let nats = operator.nats.clone();
        let control = nats
            .subscribe(&rollout_control_subject(&plan.id), |_, payload| RolloutControl::parse(payload))
            .await?;
        let own_key = nats.public_key().and_then(|key| PublicKey::parse(key).ok());
        let own_key = own_key.map(|key| TrustedKey { key, expires_at: None });
        let tiers: BTreeSet<Name> = plan.tiers().into_iter().collect_set();
        let others = operator.operators.iter().filter(|operator| tiers.is_subset(&operator.tiers));
        let trusted = own_key.into_iter().chain(others.flat_map(|operator| operator.keys.clone()));
        let mut heartbeat = interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (local_sender, local) = mpsc::unbounded_channel();
        let hosts = plan.requests.iter().flat_map(|request| request.hosts.keys()).cloned().collect();
        Ok(Some(Self {
            nats,
            id: plan.id.clone(),
            instance: fresh_id(),
            seq: 0,
            started_at: Timestamp::now(),
            issuer: plan.intent.issuer.clone(),
            batches: batch_runs(plan),
            hosts,
            next_host: 0,
            control,
            local,
            local_sender,
            heartbeat,
            trusted: trusted.collect(),
            accepted: BTreeSet::new(),
            answer: None,
            file: operator
                .rollouts
                .as_ref()
                .map(|directory| Arc::new(Mutex::new(RolloutFile::new(directory, &plan.id)))),
            published: None,
            is_denied: false,
        }))
    }

    /// A sender of commands from this process.
    pub(super) fn local_commands(&self) -> LocalCommands {
        self.local_sender.clone()
    }

    /// The next command, or the time for a heartbeat. Cancel safe.
    async fn next(&mut self) -> RunnerEvent {
        tokio::select! {
            biased;
            Some(command) = self.local.recv() => RunnerEvent::Local(command),
            received = self.control.next() => RunnerEvent::Control(Box::new(received)),
            _ = self.heartbeat.tick() => RunnerEvent::Heartbeat,
        }
    }

    /// The next event of a runner; never without one.
    pub(super) async fn next_of(runner: &mut Option<Self>) -> RunnerEvent {
        match runner {
            Some(runner) => runner.next().await,
            None => std::future::pending().await,
        }
    }

    /// The command of a message, if it is accepted. Otherwise the message is ignored; `Err` explains why, for the log.
    pub(super) fn accept(
        &mut self,
        received: &Received<Result<RolloutControl, WireError>>,
    ) -> Result<RolloutControl, String> {
        let control = match &received.message {
            Some(Ok(control)) => control,
            Some(Err(error)) => return Err(error.to_string()),
            None => return Err("it has no content".to_owned()),
        };
        let now = Timestamp::now();
        // Without a key, the server lets everyone do everything.
        if !self.trusted.is_empty() {
            let (fleet, subject) = (self.nats.fleet(), &received.subject);
            let (payload, headers) = (&received.payload, &received.headers);
            verify_signer(Purpose::Control, &self.trusted, fleet, now, subject, payload, headers)
                .map_err(|rejection| explain(&rejection))?;
        }
        if control.rollout != self.id || control.runner != self.instance {
            return Err("it is for another rollout or another process".to_owned());
        }
        let expires_at = check_lifetime(Some(control.issued_at), Some(control.expires_at))
            .map_err(|rejection| explain(&rejection))?;
        check_clock(expires_at, now).map_err(|rejection| explain(&rejection))?;
        if self.accepted.contains(&control.id) {
            return Err("it was already received".to_owned());
        }
        if self.accepted.len() >= MAX_COMMANDS {
            return Err(format!("{MAX_COMMANDS} commands were already received"));
        }
        if expires_at <= now {
            let error = format!("it expired at {expires_at:.0}; compare the clocks of both machines");
            self.answer = Some(ControlAnswer { id: control.id.clone(), error: Some(error.clone()) });
            return Err(error);
        }
        self.accepted.insert(control.id.clone());
        Ok(control.clone())
    }

    /// Sets the reply to a command; the next status has it.
    pub(super) fn reply(&mut self, id: Id, result: Result<(), String>) {
        self.answer = Some(ControlAnswer { id, error: result.err() });
    }

    /// The reply to the last command.
    pub(super) fn answer(&self) -> Option<ControlAnswer> {
        self.answer.clone()
    }

    /// Whether a status with this content must be published at once.
    pub(super) fn is_news(&self, key: &StatusKey) -> bool {
        self.published.as_ref() != Some(key)
    }

    /// Builds the next status.
    pub(super) fn status(&mut self, key: StatusKey, plan: &Plan, failed: usize) -> RolloutStatus {
        self.seq += 1;
        let wide = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let commits = plan.commits();
        let mut status = RolloutStatus {
            id: self.id.clone(),
            runner: self.instance.clone(),
            seq: self.seq,
            at: Timestamp::now(),
            heartbeat_s: HEARTBEAT.as_secs(),
            state: key.state.clone(),
            reason: key.reason.clone(),
            issuer: Some(self.issuer.clone()),
            action: plan.intent.action.clone(),
            revision: plan.intent.revision.as_ref().map(ToString::to_string),
            commit: commits.first().filter(|_| commits.len() == 1).map(|commit| (*commit).to_owned()),
            started_at: self.started_at,
            batches: self.batches.clone(),
            sent_batches: wide(key.sent_batches),
            failed: wide(failed),
            max_failures: wide(plan.rollout.max_failures()),
            next_at: key.next_at,
            answer: key.answer.clone(),
            first: 0,
            hosts: Vec::new(),
        };
        self.next_host = status.set_hosts(&self.hosts, self.next_host);
        self.published = Some(key);
        status
    }

    /// The same status with all hosts, which may not fit into a message.
    pub(super) fn with_all_hosts(&self, status: &RolloutStatus) -> RolloutStatus {
        RolloutStatus { first: 0, hosts: self.hosts.clone(), ..status.clone() }
    }

    /// Publishes a status. While disconnected it is lost; the next one follows soon.
    pub(super) async fn publish(&self, status: &RolloutStatus) {
        if !self.is_denied {
            let subject = rollout_subject(&self.id);
            let _ = self.nats.publish_signed(Purpose::Rollout, &subject, None, status.encode()).await;
            if !status.state.is_open() {
                // The process may end right after it.
                self.nats.flush().await;
            }
        }
    }

    /// What the operator must know if the server refuses a subject of the rollout.
    pub(super) fn denied_note(subject: &str, is_publish: bool) -> String {
        let (verb, list) = if is_publish { ("publish", "publish") } else { ("subscribe to", "subscribe") };
        format!(
            "other consoles can neither see nor control this rollout, because this key may not {verb} {}: add rollouts.status.* \
             and rollouts.control.* to {list} in the server's permissions (`homelab-deploy keys nats-config`)",
            printable(subject)
        )
    }
}

/// The batches of a plan; those of the same kind and size that follow one another are counted together.
fn batch_runs(plan: &Plan) -> Vec<BatchRun> {
    let mut runs: Vec<BatchRun> = Vec::new();
    for batch in plan.rollout.batches() {
        let kind: &str = BatchKind::into(batch.kind);
        let hosts = u64::try_from(plan.hosts_of(batch).len()).unwrap_or(u64::MAX);
        match runs.last_mut().filter(|run| run.kind == kind && run.hosts == hosts) {
            Some(run) => run.count += 1,
            None => runs.push(BatchRun { kind: kind.to_owned(), hosts, count: 1 }),
        }
    }
    runs
}

/// Why a command is ignored.
fn explain(rejection: &SignatureRejection) -> String {
    match rejection {
        SignatureRejection::Unsigned => "it is not signed".to_owned(),
        SignatureRejection::Malformed(reason) => format!("its signature is malformed: {reason}"),
        SignatureRejection::Untrusted(key) => format!(
            "{key} may not control this rollout: only the key that runs it may, and the operators of its tiers in the \
             context's fleet file"
        ),
        SignatureRejection::KeyExpired(key, at) => format!("the key {key} expired at {at}"),
        SignatureRejection::Invalid(key) => format!("the signature of {key} does not match"),
        SignatureRejection::MissingTime(field) => format!("it has no `{field}`"),
        SignatureRejection::LifetimeTooLong(_) => "it is valid for too long".to_owned(),
        SignatureRejection::ClockSkew(..) => "the clocks of both machines differ".to_owned(),
        SignatureRejection::Replayed => "it was already received".to_owned(),
    }
}
