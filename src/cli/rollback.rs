//! `rollback`: take hosts back to an earlier generation and follow each to its verdict.

use super::connection::ConnectionArgs;
use super::deploy::{Wish, YEAR};
use super::effective::issuer;
use super::exit::{Exit, Failed};
use super::out::Format;
use crate::deployer::{Intent, Selection};
use crate::protocol::Action;
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct RollbackArgs {
    /// Hosts, aliases (of the configuration file, or $HOMELAB_DEPLOY_ALIAS_<NAME>) or subjects
    #[arg(value_name = "HOST", required = true)]
    hosts: Vec<String>,
    /// The generation of the system profile; without, what ran before the last change
    #[arg(long, value_name = "N")]
    generation: Option<u64>,
    /// Seconds to follow the rollback
    #[arg(long, env = "HOMELAB_DEPLOY_TIMEOUT", default_value_t = 900, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=YEAR))]
    timeout: u64,
    /// Ask no question
    #[arg(long)]
    yes: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Human)]
    output: Format,
    #[command(flatten)]
    connection: ConnectionArgs,
}

impl RollbackArgs {
    pub(super) async fn run(self) -> Result<Exit, Failed> {
        let effective = self.connection.effective()?;
        let wish = Wish {
            selection: Selection::Targets(effective.targets(&self.hosts)?),
            intent: Intent {
                action: Action::Rollback,
                revision: None,
                keep: false,
                issuer: issuer(),
                generation: self.generation,
                reason: None,
            },
            skip_offline: false,
            yes: self.yes,
            timeout: self.timeout,
            output: self.output,
        };
        wish.carry_out(&effective).await
    }
}
