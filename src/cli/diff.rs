//! `diff`: what a deployment would change.

use super::connection::ConnectionArgs;
use super::deploy::{Again, TIMEOUT, Wish, YEAR};
use super::effective::issuer;
use super::exit::{Exit, Failed};
use super::out::Format;
use super::selector::SelectorArgs;
use crate::deployer::Intent;
use crate::protocol::{Action, Revision};
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct DiffArgs {
    #[command(flatten)]
    selector: SelectorArgs,
    /// Branch, tag or full commit; without, the context's branch, else master
    #[arg(long, env = "HOMELAB_DEPLOY_BRANCH")]
    branch: Option<Revision>,
    /// Seconds to wait for the builds
    #[arg(long, env = "HOMELAB_DEPLOY_TIMEOUT", default_value_t = TIMEOUT, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=YEAR))]
    timeout: u64,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Human)]
    output: Format,
    #[command(flatten)]
    connection: ConnectionArgs,
}

impl DiffArgs {
    pub(super) async fn run(self) -> Result<Exit, Failed> {
        let effective = self.connection.effective()?;
        let selection = self.selector.selection(&effective)?;
        let revision = Some(effective.branch(self.branch));
        let intent = Intent { revision, ..Intent::new(Action::DryActivate, issuer()) };
        let again = Again::new("diff", &self.connection);
        // Nothing is changed.
        let wish = Wish { yes: true, ..Wish::new(intent, selection, self.timeout, self.output, again) };
        wish.carry_out(&effective).await
    }
}
