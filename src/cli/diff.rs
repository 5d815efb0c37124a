//! `diff`: show what a deployment would change.

use super::exit::{CommandError, Exit};
use super::operation_args::OperationArgs;
use super::resolved_config::ResolvedConfig;
use crate::client::Intent;
use crate::protocol::{Action, Name, Revision};
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct DiffArgs {
    /// Branch, tag or full commit [default: the context's branch, else master]
    #[arg(long, env = "HOMELAB_DEPLOY_BRANCH")]
    branch: Option<Revision>,
    /// Only this service of a host with Docker Compose; repeatable
    #[arg(long, value_name = "NAME")]
    service: Vec<Name>,
    #[command(flatten)]
    operation: OperationArgs,
}

impl DiffArgs {
    pub(super) async fn run(self) -> Result<Exit, CommandError> {
        let (branch, services) = (self.branch, self.service);
        let details = |resolved: &ResolvedConfig, intent| Intent {
            revision: Some(resolved.branch(branch)),
            services,
            ..intent
        };
        self.operation.inspect("diff", Action::DryActivate, details).await
    }
}
