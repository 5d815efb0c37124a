//! The hosts of a flake: the attribute names below `nixosConfigurations`.

use super::FlakeAttr;
use crate::protocol::Name;
use crate::text::{fitting_prefix, printable};
use std::collections::BTreeMap;

/// Maximum length of a skipped name, in bytes.
const MAX_SHOWN: usize = 80;

/// The hosts of a flake.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FlakeHosts {
    /// The hosts that can be built, with their attribute names: the host name, or a full domain name that starts with it.
    pub names: BTreeMap<Name, FlakeAttr>,
    /// Attribute names that are not valid host names, escaped for display.
    pub skipped: Vec<String>,
}

impl FlakeHosts {
    /// The rule for host names, for messages.
    pub const NAME_RULE: &str = "a host name has 1 to 63 letters, digits, `_` or `-`, or is the first part of a full domain name that \
         no other host begins with";

    /// Separates valid host names from invalid ones.
    pub(super) fn from_names(all: Vec<String>) -> Self {
        let mut hosts = Self::default();
        let mut domains: BTreeMap<Name, Vec<FlakeAttr>> = BTreeMap::new();
        for text in all {
            let first = text.split_once('.').and_then(|(first, _)| Name::new(first).ok());
            match (Name::new(text.as_str()), FlakeAttr::new(&text), first) {
                (Ok(name), Ok(attr), _) => {
                    hosts.names.insert(name, attr);
                }
                (_, Ok(attr), Some(first)) => domains.entry(first).or_default().push(attr),
                _ => hosts.add_skipped(&text),
            }
        }
        for (name, attrs) in domains {
            if let ([attr], false) = (attrs.as_slice(), hosts.names.contains_key(&name)) {
                hosts.names.insert(name, attr.clone());
            } else {
                for attr in &attrs {
                    hosts.add_skipped(attr.as_str());
                }
            }
        }
        hosts
    }

    fn add_skipped(&mut self, text: &str) {
        self.skipped.push(fitting_prefix(&printable(text), MAX_SHOWN).to_owned());
    }
}
