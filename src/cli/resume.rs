//! `resume`: continue the last job of hosts that failed, at the first service that is not done.

use super::exit::{CommandError, Exit};
use super::operation_args::OperationArgs;
use crate::protocol::Action;
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct ResumeArgs {
    /// Skip the confirmation prompt
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    operation: OperationArgs,
}

impl ResumeArgs {
    pub(super) async fn run(self) -> Result<Exit, CommandError> {
        self.operation.change("resume", Action::Resume, self.yes, |_, intent| intent).await
    }
}
