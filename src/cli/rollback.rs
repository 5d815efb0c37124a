//! `rollback`: take hosts back to an earlier generation and follow each to its verdict.

use super::connection::ConnectionArgs;
use super::deploy::{Again, TIMEOUT, Wish, YEAR};
use super::effective::issuer;
use super::exit::{Exit, Failed};
use super::out::Format;
use super::selector::SelectorArgs;
use crate::deployer::Intent;
use crate::protocol::Action;
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct RollbackArgs {
    #[command(flatten)]
    selector: SelectorArgs,
    /// The generation of the system profile; without it, the system before the last change
    #[arg(long, value_name = "N")]
    generation: Option<u64>,
    /// Seconds to follow the rollback
    #[arg(long, env = "HOMELAB_DEPLOY_TIMEOUT", default_value_t = TIMEOUT, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=YEAR))]
    timeout: u64,
    /// Skip the confirmation prompt
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
        let selection = self.selector.selection(&effective)?;
        let intent = Intent { generation: self.generation, ..Intent::new(Action::Rollback, issuer()) };
        let again = Again::new("rollback", &self.connection);
        let wish = Wish { yes: self.yes, ..Wish::new(intent, selection, self.timeout, self.output, again) };
        wish.carry_out(&effective).await
    }
}
