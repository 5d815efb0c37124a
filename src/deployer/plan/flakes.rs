//! The flakes of a plan's hosts, compared with what was known of them.

use super::Plan;
use crate::deployer::DeployError;
use crate::fleet::{Flake, Fleet};
use crate::protocol::Name;
use std::collections::BTreeMap;

impl Plan {
    /// The flakes that its hosts name, each with its hosts and whether it is new here. Refuses one that must not be used.
    pub fn named_flakes<'a>(
        &'a self,
        fleet: &'a Fleet,
    ) -> Result<BTreeMap<&'a str, NamedFlake<'a>>, DeployError> {
        let mut named: BTreeMap<&str, NamedFlake<'_>> = BTreeMap::new();
        for host in self.hosts().into_keys() {
            let Some(answer) = fleet.hosts.get(host).and_then(|host| host.answer.as_deref()) else {
                continue;
            };
            let (flake, is_new) = match fleet.known_flakes.flake(answer) {
                Flake::Unnamed => continue,
                Flake::Known(flake) => (flake, false),
                Flake::New(flake) => (flake, true),
                Flake::Refused(error) => return Err(error.into()),
            };
            let of = named.entry(flake).or_default();
            of.hosts.push(host);
            of.is_new |= is_new;
        }
        Ok(named)
    }
}

/// A flake that hosts of a plan name.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct NamedFlake<'a> {
    /// These hosts.
    pub hosts: Vec<&'a Name>,
    /// Whether it was never seen before.
    pub is_new: bool,
}
