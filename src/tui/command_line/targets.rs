//! The hosts that a command applies to.

use super::verbs::unknown_word;
use crate::fleet::{Fleet, Host, natural_cmp};
use crate::protocol::Name;
use std::collections::BTreeSet;

/// Selection of hosts by name, role or tier.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Targets {
    /// Hosts by name, in addition to those of the role and tier.
    pub hosts: BTreeSet<Name>,
    /// Only hosts of this role.
    pub role: Option<Name>,
    /// Only hosts of this tier.
    pub tier: Option<Name>,
}

impl Targets {
    /// Whether nothing is selected.
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty() && self.role.is_none() && self.tier.is_none()
    }

    /// Whether the hosts are selected only by role or tier.
    pub fn is_group(&self) -> bool {
        self.hosts.is_empty()
    }

    /// Short description, such as `role dns, tier prod`.
    pub fn label(&self) -> String {
        let all = [("role", &self.role), ("tier", &self.tier)];
        let mut parts: Vec<_> =
            all.iter().filter_map(|(word, name)| Some(format!("{word} {}", name.as_ref()?))).collect();
        parts.extend(self.hosts.iter().map(ToString::to_string));
        parts.join(", ")
    }

    /// The selected hosts of a fleet, in natural order.
    pub fn find(&self, fleet: &Fleet) -> Result<Vec<Name>, String> {
        if let Some(unknown) = self.hosts.iter().find(|host| !fleet.hosts.contains_key(*host)) {
            return Err(unknown_word("host", unknown.as_str(), fleet.hosts.keys().map(Name::as_str)));
        }
        let mut hosts = self.hosts.clone();
        if self.role.is_some() || self.tier.is_some() {
            let matches = |host: &&Host| {
                (self.role.is_none() || host.role == self.role)
                    && (self.tier.is_none() || host.tier == self.tier)
            };
            hosts.extend(fleet.hosts.values().filter(matches).map(|host| host.name.clone()));
            if hosts.is_empty() {
                return Err(format!("no host has {}", self.label()));
            }
        }
        let mut hosts: Vec<_> = hosts.into_iter().collect();
        hosts.sort_unstable_by(natural_cmp);
        Ok(hosts)
    }
}
