//! `reboot`: reboot hosts in batches. Each batch must be back, with a new boot, before the next one starts.

use super::connection::ConnectionArgs;
use super::deploy::{RolloutArgs, TIMEOUT};
use super::exit::{CommandError, Exit};
use super::operation::{Operation, YEAR};
use super::output::Format;
use super::resolved_config::issuer;
use super::resume_command::ResumeCommand;
use super::selector::SelectorArgs;
use crate::client::Intent;
use crate::protocol::Action;
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct RebootArgs {
    #[command(flatten)]
    selector: SelectorArgs,
    /// Only hosts that need a reboot; without a TARGET, of all hosts or the tier
    #[arg(long)]
    needed: bool,
    /// Time for each batch to come back, in seconds
    #[arg(long, env = "HOMELAB_DEPLOY_TIMEOUT", default_value_t = TIMEOUT, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=YEAR))]
    timeout: u64,
    /// Skip hosts that do not answer
    #[arg(long)]
    skip_offline: bool,
    /// Skip the confirmation prompt
    #[arg(long)]
    yes: bool,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Human)]
    output: Format,
    #[command(flatten)]
    rollout: RolloutArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
}

impl RebootArgs {
    pub(super) async fn run(self) -> Result<Exit, CommandError> {
        let resolved = self.connection.resolve()?;
        let selector = &self.selector;
        let selection = if self.needed {
            selector.selection_or_all(&resolved)?
        } else {
            selector.selection(&resolved)?
        };
        let intent = Intent::new(Action::Reboot, issuer());
        let operation = Operation {
            rollout: Some(self.rollout.one_by_one()),
            needs_reboot: self.needed,
            skip_offline: self.skip_offline,
            yes: self.yes,
            ..Operation::new(intent, selection, self.timeout, self.output, self.resume_command())
        };
        operation.run(&resolved).await
    }

    fn resume_command(&self) -> ResumeCommand {
        let mut resume =
            ResumeCommand::for_subcommand("reboot", &self.connection).rollout(&self.rollout, true);
        resume.flag("--timeout", (self.timeout != TIMEOUT).then(|| self.timeout.to_string()));
        resume.switch("--skip-offline", self.skip_offline);
        resume.switch("--yes", self.yes);
        resume
    }
}
