//! The hosts of a flake at one commit: the names below `nixosConfigurations`.

use crate::protocol::{Name, printable};

/// The most of a name that is told, in characters.
const MAX_SHOWN: usize = 80;

/// The hosts of a flake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hosts {
    /// Those that can be built, by name.
    pub names: Vec<Name>,
    /// Names that are no tokens, fit to be shown: no request can mean them.
    pub skipped: Vec<String>,
}

impl Hosts {
    /// Parts what can be asked for from what cannot.
    pub(super) fn of(all: Vec<String>) -> Self {
        let (mut names, mut skipped) = (Vec::new(), Vec::new());
        for name in all {
            match Name::new(name.as_str()) {
                Ok(name) => names.push(name),
                Err(_) => skipped.push(printable(&name).chars().take(MAX_SHOWN).collect()),
            }
        }
        Self { names, skipped }
    }
}
