//! `hold` and `release`: block deployments to hosts, with a reason, and unblock them.

use super::connection::ConnectionArgs;
use super::exit::{CommandError, Exit};
use super::operation::Operation;
use super::output::Format;
use super::resolved_config::issuer;
use super::resume_command::ResumeCommand;
use super::selector::SelectorArgs;
use crate::client::Intent;
use crate::protocol::{Action, HoldReasonError, check_hold_reason};
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct HoldArgs {
    #[command(flatten)]
    selector: SelectorArgs,
    /// Reason, shown to everyone whose request is refused
    #[arg(long, value_name = "TEXT", value_parser = parse_reason)]
    reason: String,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Human)]
    output: Format,
    #[command(flatten)]
    connection: ConnectionArgs,
}

fn parse_reason(text: &str) -> Result<String, HoldReasonError> {
    check_hold_reason(text).map(str::to_owned)
}

impl HoldArgs {
    pub(super) async fn run(self) -> Result<Exit, CommandError> {
        let resolved = self.connection.resolve()?;
        let resume = ResumeCommand::for_subcommand("hold", &self.connection);
        let intent = Intent { reason: Some(self.reason), ..Intent::new(Action::Hold, issuer()) };
        let selection = self.selector.selection(&resolved)?;
        Operation::immediate(intent, selection, self.output, resume).run(&resolved).await
    }
}

#[derive(Debug, Args)]
pub(super) struct ReleaseArgs {
    #[command(flatten)]
    selector: SelectorArgs,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Human)]
    output: Format,
    #[command(flatten)]
    connection: ConnectionArgs,
}

impl ReleaseArgs {
    pub(super) async fn run(self) -> Result<Exit, CommandError> {
        let resolved = self.connection.resolve()?;
        let resume = ResumeCommand::for_subcommand("release", &self.connection);
        let intent = Intent::new(Action::Release, issuer());
        let selection = self.selector.selection(&resolved)?;
        Operation::immediate(intent, selection, self.output, resume).run(&resolved).await
    }
}
