//! `diff`: what a deployment would change.

use super::connection::ConnectionArgs;
use super::deploy::{Wish, YEAR};
use super::effective::issuer;
use super::exit::{Exit, Failed};
use super::out::Format;
use crate::deployer::{Intent, Selection};
use crate::protocol::{Action, Revision};
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct DiffArgs {
    /// Hosts, aliases (of the configuration file, or $HOMELAB_DEPLOY_ALIAS_<NAME>) or subjects
    #[arg(value_name = "HOST", required = true)]
    hosts: Vec<String>,
    /// Branch, tag or full commit; without, the context's branch, else master
    #[arg(long, env = "HOMELAB_DEPLOY_BRANCH")]
    branch: Option<Revision>,
    /// Seconds to wait for the builds
    #[arg(long, env = "HOMELAB_DEPLOY_TIMEOUT", default_value_t = 900, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=YEAR))]
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
        let wish = Wish {
            selection: Selection::Targets(effective.targets(&self.hosts)?),
            intent: Intent {
                action: Action::DryActivate,
                revision: Some(effective.branch(self.branch)),
                keep: false,
                issuer: issuer(),
                generation: None,
                reason: None,
            },
            skip_offline: false,
            // Nothing is changed.
            yes: true,
            timeout: self.timeout,
            output: self.output,
        };
        wish.carry_out(&effective).await
    }
}
