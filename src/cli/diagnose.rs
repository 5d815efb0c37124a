//! `diagnose`: collect the diagnostics of hosts.

use super::connection::ConnectionArgs;
use super::deploy::TIMEOUT;
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
pub(super) struct DiagnoseArgs {
    #[command(flatten)]
    selector: SelectorArgs,
    /// Time to follow the job, in seconds
    #[arg(long, env = "HOMELAB_DEPLOY_TIMEOUT", default_value_t = TIMEOUT, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=YEAR))]
    timeout: u64,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Human)]
    output: Format,
    #[command(flatten)]
    connection: ConnectionArgs,
}

impl DiagnoseArgs {
    pub(super) async fn run(self) -> Result<Exit, CommandError> {
        let resolved = self.connection.resolve()?;
        let selection = self.selector.selection_across_tiers(&resolved)?;
        let intent = Intent::new(Action::Diagnose, issuer());
        let resume = ResumeCommand::for_subcommand("diagnose", &self.connection);
        // It changes nothing, so that it needs no confirmation.
        let operation =
            Operation { yes: true, ..Operation::new(intent, selection, self.timeout, self.output, resume) };
        operation.run(&resolved).await
    }
}
