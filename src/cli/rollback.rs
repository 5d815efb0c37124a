//! `rollback`: return hosts to an earlier generation and follow each until it has a result.

use super::exit::{CommandError, Exit};
use super::operation_args::OperationArgs;
use crate::client::Intent;
use crate::protocol::Action;
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct RollbackArgs {
    /// Generation of the system profile [default: the system before the last change]
    #[arg(long, value_name = "N")]
    generation: Option<u64>,
    /// Skip the confirmation prompt
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    operation: OperationArgs,
}

impl RollbackArgs {
    pub(super) async fn run(self) -> Result<Exit, CommandError> {
        let generation = self.generation;
        let details = |_: &_, intent| Intent { generation, ..intent };
        self.operation.change("rollback", Action::Rollback, self.yes, details).await
    }
}
