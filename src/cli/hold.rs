//! `hold`: keep deployments from hosts, and say why.

use super::connection::ConnectionArgs;
use super::deploy::Wish;
use super::exit::{Exit, Failed};
use super::out::Format;
use crate::protocol::{Action, ReasonError, reason};
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct HoldArgs {
    /// Hosts, aliases (of the configuration file, or $HOMELAB_DEPLOY_ALIAS_<NAME>) or subjects
    #[arg(value_name = "HOST", required = true)]
    hosts: Vec<String>,
    /// Why; everybody who is refused reads it
    #[arg(long, value_name = "TEXT", value_parser = parse_reason)]
    reason: String,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Human)]
    output: Format,
    #[command(flatten)]
    connection: ConnectionArgs,
}

fn parse_reason(text: &str) -> Result<String, ReasonError> {
    reason(text).map(str::to_owned)
}

impl HoldArgs {
    pub(super) async fn run(self) -> Result<Exit, Failed> {
        let effective = self.connection.effective()?;
        let targets = effective.targets(&self.hosts)?;
        Wish::at_once(Action::Hold, Some(self.reason), targets, self.output).carry_out(&effective).await
    }
}
