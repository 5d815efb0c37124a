//! `deploy`: send a revision to hosts and follow each to its verdict.

mod confirm;
mod follow;
mod progress;

pub(super) use confirm::CONFIRM_TIERS;
pub(super) use follow::{follow_or_interrupt, follow_to_the_end};

use super::connection::ConnectionArgs;
use super::exit::{Exit, Failed};
use super::out::Format;
use crate::deployer::{Intent, Plan, Selection, SelectionError, Target};
use crate::protocol::{Action, Name, Revision};
use clap::Args;
use std::time::Duration;

/// In seconds; a deadline much further away has no place in the clock.
const YEAR: u64 = 365 * 86400;

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(super) struct DeployArgs {
    /// Subjects, aliases ($HOMELAB_DEPLOY_ALIAS_<NAME>) or hosts
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
    /// Branch, tag or full commit
    #[arg(long, env = "HOMELAB_DEPLOY_BRANCH", default_value = "master")]
    branch: Revision,
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
        let selection = self.selection()?;
        let mut operator = self.connection.operator().await?;
        let discovery = operator.discover(None, None).await?;
        let intent = Intent {
            action: self.action.clone(),
            revision: Some(self.branch.clone()),
            keep: self.keep,
            issuer: operator.issuer.clone(),
        };
        let plan = Plan::new(intent, &selection, &discovery.fleet, discovery.at, self.skip_offline)?;
        if plan.parcels.is_empty() {
            return Err(Failed {
                exit: Exit::Silent,
                error: anyhow::anyhow!("no host to deploy to: {}", self.nobody()),
            });
        }
        if !confirm::confirmed(&plan, &discovery, self.yes)? {
            return Err(Failed::usage(anyhow::anyhow!("not confirmed; nothing was sent")));
        }
        let follow = operator.send(plan, discovery.fleet, None, Duration::from_secs(self.timeout)).await?;
        follow_or_interrupt(follow, self.output).await
    }

    fn selection(&self) -> Result<Selection, SelectionError> {
        if let Some(tier) = &self.tier {
            return Ok(Selection::Tier { tier: tier.clone(), role: self.role.clone() });
        }
        let targets = self.targets.iter().map(|text| Target::parse(text, alias));
        Ok(Selection::Targets(targets.collect::<Result<_, _>>()?))
    }

    fn nobody(&self) -> String {
        let tier = self.tier.as_ref().map(|tier| format!(" in tier {tier}")).unwrap_or_default();
        let role = self.role.as_ref().map(|role| format!(" with role {role}")).unwrap_or_default();
        format!("none{role}{tier} answered or is known; `homelab-deploy hosts` lists what there is")
    }
}

/// Looks an alias up: name uppercased, `-` to `_`.
fn alias(name: &str) -> Option<String> {
    let name = name.to_ascii_uppercase().replace('-', "_");
    std::env::var(format!("HOMELAB_DEPLOY_ALIAS_{name}")).ok().filter(|meaning| !meaning.is_empty())
}
