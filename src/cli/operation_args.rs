//! The arguments of commands that ask hosts for one action and follow it.

use super::connection::ConnectionArgs;
use super::deploy::TIMEOUT;
use super::exit::{CommandError, Exit};
use super::operation::{Operation, YEAR};
use super::output::Format;
use super::resolved_config::{ResolvedConfig, issuer};
use super::resume_command::ResumeCommand;
use super::selector::SelectorArgs;
use crate::client::{Intent, Selection};
use crate::protocol::Action;
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct OperationArgs {
    #[command(flatten)]
    selector: SelectorArgs,
    /// Time to follow the jobs, in seconds
    #[arg(long, env = "HOMELAB_DEPLOY_TIMEOUT", default_value_t = TIMEOUT, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=YEAR))]
    timeout: u64,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Human)]
    output: Format,
    #[command(flatten)]
    connection: ConnectionArgs,
}

impl OperationArgs {
    /// Runs an action that changes hosts. `details` adds what else is requested.
    pub(super) async fn change(
        self,
        subcommand: &'static str,
        action: Action,
        yes: bool,
        details: impl FnOnce(&ResolvedConfig, Intent) -> Intent,
    ) -> Result<Exit, CommandError> {
        self.run(subcommand, action, yes, SelectorArgs::selection, details).await
    }

    /// Runs an action that changes nothing, so that it needs no confirmation and may select hosts of all tiers.
    pub(super) async fn inspect(
        self,
        subcommand: &'static str,
        action: Action,
        details: impl FnOnce(&ResolvedConfig, Intent) -> Intent,
    ) -> Result<Exit, CommandError> {
        self.run(subcommand, action, true, SelectorArgs::selection_across_tiers, details).await
    }

    async fn run(
        self,
        subcommand: &'static str,
        action: Action,
        yes: bool,
        select: impl FnOnce(&SelectorArgs, &ResolvedConfig) -> Result<Selection, CommandError>,
        details: impl FnOnce(&ResolvedConfig, Intent) -> Intent,
    ) -> Result<Exit, CommandError> {
        let resolved = self.connection.resolve()?;
        let selection = select(&self.selector, &resolved)?;
        let intent = details(&resolved, Intent::new(action, issuer()));
        let resume = ResumeCommand::for_subcommand(subcommand, &self.connection);
        let operation =
            Operation { yes, ..Operation::new(intent, selection, self.timeout, self.output, resume) };
        operation.run(&resolved).await
    }
}
