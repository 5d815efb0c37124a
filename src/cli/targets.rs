//! Aliases: what they are called in the environment and in the file.

use crate::config::{Chosen, alias_key};
use crate::deployer::Alias;

/// Before the name of an alias in the environment.
pub(super) const VARIABLE: &str = "HOMELAB_DEPLOY_ALIAS_";

/// Looks an alias up in the environment: name uppercased, `-` to `_`.
pub(super) fn of_environment(name: &str) -> Option<Alias> {
    let variable = format!("{VARIABLE}{}", alias_key(name));
    let meaning = std::env::var(&variable).ok().filter(|meaning| !meaning.is_empty())?;
    Some(Alias { meaning, source: variable })
}

/// Looks an alias up in the configuration file.
pub(super) fn of_file(chosen: &Chosen, name: &str) -> Option<Alias> {
    let alias = chosen.aliases.get(&alias_key(name))?;
    let place = alias.source.place().map(ToString::to_string).unwrap_or_default();
    Some(Alias { meaning: alias.value.meaning.clone(), source: place })
}
