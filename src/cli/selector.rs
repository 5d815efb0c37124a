//! The arguments that say which hosts are meant.

use super::effective::Effective;
use super::exit::Failed;
use crate::deployer::Selection;
use crate::protocol::Name;
use clap::Args;

/// Hosts one by one, or all of a role or tier.
#[derive(Debug, Args)]
pub(super) struct SelectorArgs {
    /// Hosts, aliases (of the configuration file, or $HOMELAB_DEPLOY_ALIAS_<NAME>) or subjects
    #[arg(value_name = "TARGET", conflicts_with_all = ["role", "all"])]
    targets: Vec<String>,
    /// Every host of the tier with this role
    #[arg(long, conflicts_with = "all")]
    role: Option<Name>,
    /// Every host of the tier
    #[arg(long)]
    all: bool,
    /// The tier that is meant
    #[arg(long, conflicts_with = "targets")]
    tier: Option<Name>,
}

impl SelectorArgs {
    /// The hosts that are meant, as they were named.
    pub(super) fn selection(&self, effective: &Effective) -> Result<Selection, Failed> {
        if self.targets.is_empty() && self.role.is_none() && !self.all {
            return Err(Failed::usage(anyhow::anyhow!(
                "no host is named: give a TARGET (a host, an alias or a subject), or --role or --all with --tier"
            )));
        }
        self.selection_or_all(effective)
    }

    /// The same; every host, or all of the tier, where none is named.
    pub(super) fn selection_or_all(&self, effective: &Effective) -> Result<Selection, Failed> {
        let group = if self.all { Some("--all") } else { self.role.as_ref().map(|_| "--role") };
        if let (Some(group), None) = (group, &self.tier) {
            // The usage that clap would print is not one that works.
            return Err(Failed::usage(anyhow::anyhow!(
                "{group} is for the hosts of a tier: add --tier <TIER>"
            )));
        }
        if self.targets.is_empty() {
            return Ok(Selection::All { tier: self.tier.clone(), role: self.role.clone() });
        }
        Ok(Selection::Targets(effective.targets(&self.targets)?))
    }
}
