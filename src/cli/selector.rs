//! Arguments that select hosts, and the lookup of aliases in the environment and in the configuration file.

use super::exit::CommandError;
use super::resolved_config::ResolvedConfig;
use crate::client::{Alias, Selection};
use crate::config::{SelectedConfig, alias_key};
use crate::protocol::Name;
use clap::Args;

/// Named targets, or all hosts of a tier or role.
#[derive(Debug, Args)]
pub(super) struct SelectorArgs {
    /// Hosts, subjects, or aliases (configuration file or $HOMELAB_DEPLOY_ALIAS_<NAME>)
    #[arg(value_name = "TARGET", conflicts_with_all = ["role", "all"])]
    targets: Vec<String>,
    /// All hosts of the tier with this role
    #[arg(long, conflicts_with = "all")]
    role: Option<Name>,
    /// All hosts of the tier
    #[arg(long)]
    all: bool,
    /// Tier of the hosts
    #[arg(long, conflicts_with = "targets")]
    tier: Option<Name>,
}

impl SelectorArgs {
    /// Returns the selection. Errors if no host is named.
    pub(super) fn selection(&self, resolved: &ResolvedConfig) -> Result<Selection, CommandError> {
        if self.targets.is_empty() && self.role.is_none() && !self.all {
            return Err(CommandError::usage(anyhow::anyhow!(
                "no host selected: give a TARGET (a host, an alias or a subject), or --role or --all with --tier"
            )));
        }
        self.selection_or_all(resolved)
    }

    /// Like `selection`, but `--all` needs no tier: for commands that change nothing.
    pub(super) fn selection_across_tiers(
        &self,
        resolved: &ResolvedConfig,
    ) -> Result<Selection, CommandError> {
        if self.all && self.tier.is_none() {
            return Ok(Selection::All { tier: None, role: None });
        }
        self.selection(resolved)
    }

    /// Like `selection`, but selects every host, or every host of the tier, if none is named.
    pub(super) fn selection_or_all(&self, resolved: &ResolvedConfig) -> Result<Selection, CommandError> {
        let group = if self.all { Some("--all") } else { self.role.as_ref().map(|_| "--role") };
        if let (Some(group), None) = (group, &self.tier) {
            // The usage line that clap would print for this does not work.
            return Err(CommandError::usage(anyhow::anyhow!("{group} requires a tier: add --tier <TIER>")));
        }
        if self.targets.is_empty() {
            return Ok(Selection::All { tier: self.tier.clone(), role: self.role.clone() });
        }
        Ok(Selection::Targets(resolved.targets(&self.targets)?))
    }
}

/// Prefix of environment variables that define aliases.
pub(super) const ALIAS_PREFIX: &str = "HOMELAB_DEPLOY_ALIAS_";

/// Looks up an alias in the environment. The name is uppercased and `-` becomes `_`.
pub(super) fn alias_from_env(name: &str) -> Option<Alias> {
    let variable = format!("{ALIAS_PREFIX}{}", alias_key(name));
    let meaning = std::env::var(&variable).ok().filter(|meaning| !meaning.is_empty())?;
    Some(Alias { meaning, source: variable })
}

/// All aliases in the environment, with their meanings. Names are lowercase, with `-`.
pub(super) fn all_aliases_from_env() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(variable, meaning)| {
        let name = variable.to_str()?.strip_prefix(ALIAS_PREFIX)?.to_ascii_lowercase().replace('_', "-");
        Some((name, meaning.into_string().ok().filter(|meaning| !meaning.is_empty())?))
    })
}

/// Looks up an alias in the configuration file.
pub(super) fn alias_from_config(selected: &SelectedConfig, name: &str) -> Option<Alias> {
    let alias = selected.aliases.get(&alias_key(name))?;
    let place = alias.source.location().map(ToString::to_string).unwrap_or_default();
    Some(Alias { meaning: alias.value.meaning.clone(), source: place })
}
