//! `cancel`: stop the running job of hosts.

use super::connection::ConnectionArgs;
use super::deploy::follow_or_interrupt;
use super::exit::{Exit, Failed};
use super::out::Format;
use crate::deployer::Plan;
use crate::protocol::Name;
use clap::Args;
use std::time::Duration;

/// How long a host may take to decide.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug, Args)]
pub(super) struct CancelArgs {
    /// The hosts
    #[arg(value_name = "HOST", required = true)]
    hosts: Vec<Name>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Human)]
    output: Format,
    #[command(flatten)]
    connection: ConnectionArgs,
}

impl CancelArgs {
    pub(super) async fn run(self) -> Result<Exit, Failed> {
        let mut operator = self.connection.effective()?.operator().await?;
        let discovery = operator.discover(None, None).await?;
        let plan = Plan::cancel(operator.issuer.clone(), &self.hosts, &discovery.fleet, discovery.at)?;
        let follow = operator.send(plan, discovery.fleet, None, PATIENCE).await?;
        follow_or_interrupt(follow, self.output, None).await
    }
}
