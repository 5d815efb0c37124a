//! The hosts of a flake at one commit: the names below `nixosConfigurations`.

use super::FlakeAttr;
use crate::protocol::{Name, printable};
use std::collections::BTreeMap;

/// The most of a name that is told, in characters.
const MAX_SHOWN: usize = 80;

/// The hosts of a flake.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hosts {
    /// Those that can be built, and how the flake calls each: by its name, or by a full domain name that begins with it.
    pub names: BTreeMap<Name, FlakeAttr>,
    /// Names that mean no host, fit to be shown: no request can mean them.
    pub skipped: Vec<String>,
}

impl Hosts {
    /// Which names a host can have, for people.
    pub const RULE: &str = "a host's name is 1 to 63 letters, digits, `_` or `-`, or the first part of a full domain name that \
         no other host begins with";

    /// Parts what can be asked for from what cannot.
    pub(super) fn of(all: Vec<String>) -> Self {
        let mut hosts = Self::default();
        let mut domains: BTreeMap<Name, Vec<FlakeAttr>> = BTreeMap::new();
        for text in all {
            let first = text.split_once('.').and_then(|(first, _)| Name::new(first).ok());
            match (Name::new(text.as_str()), FlakeAttr::new(&text), first) {
                (Ok(name), Ok(attr), _) => {
                    hosts.names.insert(name, attr);
                }
                (_, Ok(attr), Some(first)) => domains.entry(first).or_default().push(attr),
                _ => hosts.skip(&text),
            }
        }
        for (name, attrs) in domains {
            if let ([attr], false) = (attrs.as_slice(), hosts.names.contains_key(&name)) {
                hosts.names.insert(name, attr.clone());
            } else {
                for attr in &attrs {
                    hosts.skip(attr.as_str());
                }
            }
        }
        hosts
    }

    fn skip(&mut self, text: &str) {
        self.skipped.push(printable(text).chars().take(MAX_SHOWN).collect());
    }
}
