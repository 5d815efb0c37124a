//! `release`: let held hosts take deployments again.

use super::connection::ConnectionArgs;
use super::deploy::{Again, Wish};
use super::effective::issuer;
use super::exit::{Exit, Failed};
use super::out::Format;
use super::selector::SelectorArgs;
use crate::deployer::Intent;
use crate::protocol::Action;
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct ReleaseArgs {
    #[command(flatten)]
    selector: SelectorArgs,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Human)]
    output: Format,
    #[command(flatten)]
    connection: ConnectionArgs,
}

impl ReleaseArgs {
    pub(super) async fn run(self) -> Result<Exit, Failed> {
        let effective = self.connection.effective()?;
        let again = Again::new("release", &self.connection);
        let intent = Intent::new(Action::Release, issuer());
        let selection = self.selector.selection(&effective)?;
        Wish::at_once(intent, selection, self.output, again).carry_out(&effective).await
    }
}
