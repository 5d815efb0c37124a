//! What operators name on the command line: subjects, aliases, hosts.

use crate::deployer::{SelectionError, Target};

/// Reads targets, looking aliases up in the environment.
pub(super) fn parse(texts: &[String]) -> Result<Vec<Target>, SelectionError> {
    texts.iter().map(|text| Target::parse(text, alias)).collect()
}

/// Looks an alias up: name uppercased, `-` to `_`.
fn alias(name: &str) -> Option<String> {
    let name = name.to_ascii_uppercase().replace('-', "_");
    std::env::var(format!("HOMELAB_DEPLOY_ALIAS_{name}")).ok().filter(|meaning| !meaning.is_empty())
}
