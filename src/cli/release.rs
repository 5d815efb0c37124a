//! `release`: let held hosts take deployments again.

use super::connection::ConnectionArgs;
use super::deploy::Wish;
use super::exit::{Exit, Failed};
use super::out::Format;
use crate::protocol::Action;
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct ReleaseArgs {
    /// Hosts, aliases (of the configuration file, or $HOMELAB_DEPLOY_ALIAS_<NAME>) or subjects
    #[arg(value_name = "HOST", required = true)]
    hosts: Vec<String>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Human)]
    output: Format,
    #[command(flatten)]
    connection: ConnectionArgs,
}

impl ReleaseArgs {
    pub(super) async fn run(self) -> Result<Exit, Failed> {
        let effective = self.connection.effective()?;
        let targets = effective.targets(&self.hosts)?;
        Wish::at_once(Action::Release, None, targets, self.output).carry_out(&effective).await
    }
}
