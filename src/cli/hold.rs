//! `hold`: keep deployments from hosts, and say why.

use super::connection::ConnectionArgs;
use super::deploy::{Again, Wish};
use super::effective::issuer;
use super::exit::{Exit, Failed};
use super::out::Format;
use super::selector::SelectorArgs;
use crate::deployer::Intent;
use crate::protocol::{Action, ReasonError, reason};
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct HoldArgs {
    #[command(flatten)]
    selector: SelectorArgs,
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
        let again = Again::new("hold", &self.connection);
        let intent = Intent { reason: Some(self.reason), ..Intent::new(Action::Hold, issuer()) };
        let selection = self.selector.selection(&effective)?;
        Wish::at_once(intent, selection, self.output, again).carry_out(&effective).await
    }
}
