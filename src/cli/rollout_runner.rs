//! The hidden command of a detached process: it takes a rollout over from a console or from `deploy --detach`.

use super::connection::ConnectionArgs;
use super::deploy::follow_to_end;
use super::exit::{CommandError, Exit};
use super::output::Format;
use super::resolved_config::{ResolvedConfig, state_directory};
use crate::client::{DeploymentFollower, DetachedRunner, HandoverReceiver, LocalCommand};
use anyhow::Context;
use clap::Args;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::sleep;

/// How long a rollout may take. Without this limit, a process whose rollout no one continues would stay forever.
const MAX_AGE: Duration = Duration::from_hours(7 * 24);

/// The name of the command.
const COMMAND: &str = "rollout-runner";

#[derive(Debug, Args)]
pub(super) struct RolloutRunnerArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
}

impl RolloutRunnerArgs {
    pub(super) async fn run(self) -> Result<Exit, CommandError> {
        let mut hangup = signal(SignalKind::hangup()).map_err(CommandError::failure)?;
        // A new session gets no such signal from a terminal.
        tokio::spawn(async move { while hangup.recv().await.is_some() {} });
        let mut receiver = HandoverReceiver::from_stdin()
            .context("this command is only started by homelab-deploy itself")
            .map_err(CommandError::usage)?;
        let state = match receiver.receive().await {
            Ok(Some(state)) => state,
            Ok(None) => {
                return Err(CommandError::failure(anyhow::anyhow!(
                    "the other process ended before it had handed over; nothing was sent"
                )));
            }
            Err(error) => {
                receiver.fail(&error.to_string()).await;
                return Err(CommandError::failure(error));
            }
        };
        let resume = async {
            let operator = self.connection.resolve()?.operator().await?;
            Ok::<_, CommandError>(DeploymentFollower::resume(&operator, state).await?)
        };
        let mut follow = match Box::pin(resume).await {
            Ok(follow) => follow,
            Err(failed) => {
                receiver.fail(&format!("{:#}", failed.error)).await;
                return Err(failed);
            }
        };
        follow.wait_at_limit();
        if let Some(commands) = follow.commands() {
            tokio::spawn(async move {
                sleep(MAX_AGE).await;
                let (done, _) = oneshot::channel();
                let _ = commands.send(LocalCommand::End(done));
            });
        }
        receiver.ready().await;
        follow_to_end(follow, Format::Human).await
    }
}

impl ConnectionArgs {
    /// How to start a process that takes a rollout over, with the same connection.
    pub(super) fn detached_runner(&self, resolved: &ResolvedConfig) -> Result<DetachedRunner, CommandError> {
        let program = std::env::current_exe()
            .context("could not find the path of this executable")
            .map_err(CommandError::failure)?;
        let mut args = vec![COMMAND.to_owned()];
        args.extend(
            self.to_args_in(resolved.selected.context.as_ref().map(|context| context.value.as_str())),
        );
        let log_dir = state_directory("rollouts/logs");
        Ok(DetachedRunner { program, args, log_dir })
    }
}
