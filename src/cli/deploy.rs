//! `deploy`: send a revision to hosts and follow each to its verdict.

mod confirm;
mod follow;
mod progress;
mod wish;

pub(super) use follow::{follow_or_interrupt, follow_to_the_end};
pub(super) use wish::{Wish, YEAR};

use super::connection::ConnectionArgs;
use super::effective::{Effective, issuer};
use super::exit::{Exit, Failed};
use super::out::Format;
use crate::deployer::{Intent, Selection, SelectionError};
use crate::protocol::{Action, Name, Revision};
use clap::Args;

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(super) struct DeployArgs {
    /// Subjects, aliases (of the configuration file, or $HOMELAB_DEPLOY_ALIAS_<NAME>) or hosts
    #[arg(value_name = "TARGET", required_unless_present_any = ["role", "all"], conflicts_with_all = ["role", "all"])]
    targets: Vec<String>,
    /// Every host of the tier with this role
    #[arg(long, requires = "tier", conflicts_with = "all")]
    role: Option<Name>,
    /// Every host of the tier
    #[arg(long, requires = "tier")]
    all: bool,
    /// The tier that --role or --all mean
    #[arg(long, conflicts_with = "targets")]
    tier: Option<Name>,
    /// Branch, tag or full commit; without, the context's branch, else master
    #[arg(long, env = "HOMELAB_DEPLOY_BRANCH")]
    branch: Option<Revision>,
    /// What to do: switch, boot, test, dry-activate or build
    #[arg(long, env = "HOMELAB_DEPLOY_ACTION", default_value = "switch", value_parser = parse_action)]
    action: Action,
    /// Seconds to follow the deployment
    #[arg(long, env = "HOMELAB_DEPLOY_TIMEOUT", default_value_t = 900, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=YEAR))]
    timeout: u64,
    /// Do not roll back for failed units or health checks
    #[arg(long)]
    keep: bool,
    /// Leave out hosts that do not answer
    #[arg(long)]
    skip_offline: bool,
    /// Ask no question
    #[arg(long)]
    yes: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Human)]
    output: Format,
    #[command(flatten)]
    connection: ConnectionArgs,
}

fn parse_action(text: &str) -> Result<Action, String> {
    let action = Action::from(text);
    if action.needs_revision() {
        return Ok(action);
    }
    Err("it is one of switch, boot, test, dry-activate and build".to_owned())
}

impl DeployArgs {
    pub(super) async fn run(self) -> Result<Exit, Failed> {
        let effective = self.connection.effective()?;
        let wish = Wish {
            selection: self.selection(&effective)?,
            intent: Intent {
                action: self.action,
                revision: Some(effective.branch(self.branch)),
                keep: self.keep,
                issuer: issuer(),
                generation: None,
                reason: None,
            },
            skip_offline: self.skip_offline,
            yes: self.yes,
            timeout: self.timeout,
            output: self.output,
        };
        wish.carry_out(&effective).await
    }

    fn selection(&self, effective: &Effective) -> Result<Selection, SelectionError> {
        match &self.tier {
            Some(tier) => Ok(Selection::Tier { tier: tier.clone(), role: self.role.clone() }),
            None => Ok(Selection::Targets(effective.targets(&self.targets)?)),
        }
    }
}
