//! `rollouts`: list the rollouts in progress of all operators, and the interrupted ones of this machine; pause, continue
//! or abort one.

use super::connection::ConnectionArgs;
use super::exit::{CommandError, Exit};
use super::output::{Format, Output};
use super::render;
use super::resolved_config::issuer;
use crate::client::{
    DeployError, Operator, RolloutStatuses, discard_rollout, interrupted_rollouts, rollout_control,
    send_rollout_control,
};
use crate::fleet::KnownRollout;
use crate::nats::{NatsError, PermissionViolation};
use crate::protocol::{Id, RolloutCommand, RolloutStatus, is_rollout_subject};
use crate::text::printable;
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use tokio::sync::broadcast;
use tokio::time::{Instant, timeout_at};

/// How long to listen: every runner publishes a heartbeat in that time.
const LISTEN: Duration = Duration::from_millis(2500);
/// How long the runner may take to reply to a command.
const REPLY_TIMEOUT: Duration = Duration::from_secs(6);

#[derive(Debug, Args)]
pub(super) struct RolloutsArgs {
    /// What to do [default: list all rollouts that have batches to send]
    #[arg(value_enum, value_name = "COMMAND")]
    command: Option<RolloutVerb>,
    /// Id of the rollout, or its beginning [default: the only one]
    #[arg(value_name = "ID")]
    id: Option<String>,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Human)]
    output: Format,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// A rollout in JSON output.
#[derive(Debug, Serialize)]
struct RolloutJson {
    #[serde(flatten)]
    status: RolloutStatus,
    /// Whether its process has died.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    interrupted: bool,
}

/// A command to a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RolloutVerb {
    /// Send no further batch until continued
    Pause,
    /// Continue after a pause, or past the limit that stopped it
    Continue,
    /// Send no further batch
    Abort,
}

impl RolloutsArgs {
    pub(super) async fn run(self) -> Result<Exit, CommandError> {
        let resolved = self.connection.resolve()?;
        let operator = resolved.operator().await?;
        let directory = resolved.rollout_directory()?;
        let mut listener = RolloutListener::subscribe(&operator).await?;
        for status in interrupted_rollouts(&directory, Timestamp::now()) {
            // If another process has continued it, its next status replaces this one.
            listener.rollouts.insert(status.id.clone(), KnownRollout::interrupted(status));
        }
        let Some(verb) = self.command else {
            listener.listen_until(Instant::now() + LISTEN, |_| false).await?;
            self.list(listener.rollouts);
            return Ok(Exit::Success);
        };
        let command = match verb {
            RolloutVerb::Pause => RolloutCommand::Pause,
            RolloutVerb::Continue => RolloutCommand::Continue,
            RolloutVerb::Abort => RolloutCommand::Abort,
        };
        let status = listener.find(self.id.as_deref()).await?;
        if listener.rollouts.get(&status.id).is_some_and(|rollout| rollout.is_interrupted) {
            return self.control_interrupted(&directory, &status.id, verb);
        }
        let control = rollout_control(&status, command, &issuer());
        send_rollout_control(&operator.nats, &control).await?;
        let is_answer =
            |status: &RolloutStatus| status.answer.as_ref().is_some_and(|answer| answer.id == control.id);
        let until = Instant::now() + REPLY_TIMEOUT;
        let Some(status) = listener.listen_until(until, is_answer).await? else {
            let error = anyhow::anyhow!(
                "the process that runs the rollout {} did not reply: it has ended, or it does not accept this key; it \
                 accepts its own key, and the operators of the rollout's tiers in the fleet file of its context",
                status.id
            );
            return Err(CommandError { exit: Exit::NoAnswer, error });
        };
        if let Some(error) = status.answer.as_ref().and_then(|answer| answer.error.as_deref()) {
            return Err(CommandError::failure(anyhow::anyhow!("{}: {}", status.id, printable(error))));
        }
        self.list(BTreeMap::from([(status.id.clone(), KnownRollout::new(status, Timestamp::now()))]));
        Ok(Exit::Success)
    }

    /// Removes an interrupted rollout. Only a console continues one.
    fn control_interrupted(
        &self,
        directory: &Path,
        id: &Id,
        verb: RolloutVerb,
    ) -> Result<Exit, CommandError> {
        match verb {
            RolloutVerb::Abort => {
                discard_rollout(directory, id)
                    .map_err(|error| CommandError::failure(anyhow::Error::new(error)))?;
                if self.output == Format::Human {
                    Output::new().line(&format!("{id}: interrupted, and now removed"));
                }
                Ok(Exit::Success)
            }
            RolloutVerb::Continue | RolloutVerb::Pause => Err(CommandError::failure(anyhow::anyhow!(
                "the rollout {id} is interrupted: the process that ran it is gone; open `homelab-deploy tui` and press c \
                 on its screen to continue it, or remove it with `homelab-deploy rollouts abort {id}`"
            ))),
        }
    }

    fn list(&self, mut rollouts: BTreeMap<Id, KnownRollout>) {
        let mut out = Output::new();
        if self.command.is_none() {
            rollouts.retain(|_, rollout| rollout.is_open());
        }
        match self.output {
            Format::Human if rollouts.is_empty() => {
                out.line("no rollout has batches left to send");
            }
            Format::Human => out.line(&render::rollouts(rollouts.values(), Timestamp::now())),
            Format::Json => {
                for rollout in rollouts.values() {
                    let mut status = rollout.status.clone();
                    status.hosts = rollout.unsent().into_iter().cloned().collect();
                    out.event("rollout", RolloutJson { status, interrupted: rollout.is_interrupted });
                }
            }
        }
    }
}

/// Collects the statuses of all rollouts.
struct RolloutListener {
    statuses: RolloutStatuses,
    violations: broadcast::Receiver<PermissionViolation>,
    rollouts: BTreeMap<Id, KnownRollout>,
}

impl RolloutListener {
    async fn subscribe(operator: &Operator) -> Result<Self, DeployError> {
        let violations = operator.nats.permission_violations();
        let statuses = RolloutStatuses::subscribe(operator).await?;
        Ok(Self { statuses, violations, rollouts: BTreeMap::new() })
    }

    /// Listens until a status is `wanted`, and returns it; `None` at the given time.
    async fn listen_until(
        &mut self,
        until: Instant,
        wanted: impl Fn(&RolloutStatus) -> bool,
    ) -> Result<Option<RolloutStatus>, CommandError> {
        loop {
            let next = async {
                tokio::select! {
                    biased;
                    Ok(violation) = self.violations.recv() => Err(violation),
                    status = self.statuses.next() => Ok(status),
                }
            };
            let status = match timeout_at(until, next).await {
                Err(_) => return Ok(None),
                Ok(Err(violation)) if is_rollout_subject(&violation.subject) => {
                    return Err(denied(violation));
                }
                Ok(Err(_)) => continue,
                Ok(Ok(status)) => status,
            };
            let now = Timestamp::now();
            match self.rollouts.get_mut(&status.id) {
                Some(known) => known.apply(status.clone(), now),
                None => drop(self.rollouts.insert(status.id.clone(), KnownRollout::new(status.clone(), now))),
            }
            if wanted(&status) {
                return Ok(Some(status));
            }
        }
    }

    /// The open rollout with this id, or the only one.
    async fn find(&mut self, id: Option<&str>) -> Result<RolloutStatus, CommandError> {
        let is_it = |status: &RolloutStatus| id.is_some_and(|id| status.id.as_str() == id);
        if let Some(status) = self.listen_until(Instant::now() + LISTEN, is_it).await? {
            return Ok(status);
        }
        let open = self.rollouts.values().filter(|rollout| rollout.is_open()).map(|rollout| &rollout.status);
        let matching: Vec<_> =
            open.filter(|status| id.is_none_or(|id| status.id.as_str().starts_with(id))).collect();
        match (&matching[..], id) {
            ([only], _) => Ok((*only).clone()),
            ([], None) => Err(CommandError::failure(anyhow::anyhow!("no rollout has batches left to send"))),
            ([], Some(id)) => Err(CommandError::failure(anyhow::anyhow!(
                "no process runs a rollout {}; `homelab-deploy rollouts` lists all",
                printable(id)
            ))),
            (several, _) => {
                let ids: Vec<_> = several.iter().map(|status| status.id.as_str()).collect();
                Err(CommandError::usage(anyhow::anyhow!(
                    "several rollouts match: {}; give an id",
                    ids.join(", ")
                )))
            }
        }
    }
}

fn denied(violation: PermissionViolation) -> CommandError {
    let advice = "rollouts need the subjects rollouts.status.* and rollouts.control.*; generate the server's permissions again with \
                  `homelab-deploy keys nats-config`";
    let error = anyhow::Error::new(NatsError::PermissionViolation(violation));
    CommandError { exit: Exit::Connection, error: anyhow::anyhow!("{error}; {advice}") }
}
