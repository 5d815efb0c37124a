//! The hosts that a line on the command line is about.

use super::said::unknown_word;
use crate::fleet::{Fleet, Host, natural};
use crate::protocol::Name;
use std::collections::BTreeSet;

/// Which hosts a command is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Targets {
    /// Hosts by name.
    pub hosts: BTreeSet<Name>,
    /// Every host of a role.
    pub role: Option<Name>,
    /// Every host of a tier.
    pub tier: Option<Name>,
}

impl Targets {
    /// Whether nothing was named.
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty() && self.role.is_none() && self.tier.is_none()
    }

    /// Whether they are meant by role or tier alone.
    pub fn is_group(&self) -> bool {
        self.hosts.is_empty()
    }

    /// What they are called.
    pub fn label(&self) -> String {
        let all = [("role", &self.role), ("tier", &self.tier)];
        let mut parts: Vec<_> =
            all.iter().filter_map(|(word, name)| Some(format!("{word} {}", name.as_ref()?))).collect();
        parts.extend(self.hosts.iter().map(ToString::to_string));
        parts.join(", ")
    }

    /// The hosts in a fleet, by name: those that are named, or all of the role and tier.
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
                return Err(format!("no host is of {}", self.label()));
            }
        }
        let mut hosts: Vec<_> = hosts.into_iter().collect();
        hosts.sort_by(natural);
        Ok(hosts)
    }
}
