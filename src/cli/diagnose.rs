//! `diagnose`: collect the diagnostics of hosts.

use super::exit::{CommandError, Exit};
use super::operation_args::OperationArgs;
use crate::protocol::Action;
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct DiagnoseArgs {
    #[command(flatten)]
    operation: OperationArgs,
}

impl DiagnoseArgs {
    pub(super) async fn run(self) -> Result<Exit, CommandError> {
        self.operation.inspect("diagnose", Action::Diagnose, |_, intent| intent).await
    }
}
