//! `diff`: show what a deployment would change.

use super::connection::ConnectionArgs;
use super::deploy::TIMEOUT;
use super::exit::{CommandError, Exit};
use super::operation::{Operation, YEAR};
use super::output::Format;
use super::resolved_config::issuer;
use super::resume_command::ResumeCommand;
use super::selector::SelectorArgs;
use crate::client::Intent;
use crate::protocol::{Action, Name, Revision};
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct DiffArgs {
    #[command(flatten)]
    selector: SelectorArgs,
    /// Branch, tag or full commit [default: the context's branch, else master]
    #[arg(long, env = "HOMELAB_DEPLOY_BRANCH")]
    branch: Option<Revision>,
    /// Only this service of a host with Docker Compose; repeatable
    #[arg(long, value_name = "NAME")]
    service: Vec<Name>,
    /// Time to wait for the builds, in seconds
    #[arg(long, env = "HOMELAB_DEPLOY_TIMEOUT", default_value_t = TIMEOUT, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=YEAR))]
    timeout: u64,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Human)]
    output: Format,
    #[command(flatten)]
    connection: ConnectionArgs,
}

impl DiffArgs {
    pub(super) async fn run(self) -> Result<Exit, CommandError> {
        let resolved = self.connection.resolve()?;
        let selection = self.selector.selection_across_tiers(&resolved)?;
        let revision = Some(resolved.branch(self.branch));
        let intent =
            Intent { revision, services: self.service, ..Intent::new(Action::DryActivate, issuer()) };
        let resume = ResumeCommand::for_subcommand("diff", &self.connection);
        // A dry run changes nothing, so that it needs no confirmation.
        let operation =
            Operation { yes: true, ..Operation::new(intent, selection, self.timeout, self.output, resume) };
        operation.run(&resolved).await
    }
}
