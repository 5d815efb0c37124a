//! A plan whose hosts all build one commit, though the branch moves meanwhile.

use super::{Parcel, Plan};
use crate::deployer::DeployError;
use crate::fleet::Heads;
use crate::protocol::{Name, Revision};
use std::collections::BTreeSet;

impl Plan {
    /// The branch or tag to look up, so that every host builds the same.
    pub fn to_pin(&self) -> Option<&Revision> {
        self.intent.revision.as_ref().filter(|revision| !revision.is_commit())
    }

    /// The flakes whose heads are to be looked up.
    pub fn flakes(&self) -> BTreeSet<String> {
        self.parcels.iter().flat_map(|parcel| &parcel.flakes).cloned().collect()
    }

    /// The commits that it is pinned to: one, or one of each flake.
    pub fn commits(&self) -> BTreeSet<&str> {
        self.parcels.iter().filter_map(|parcel| Some(parcel.pin.as_ref()?.as_str())).collect()
    }

    /// Pins every request to the head of its host's flake. A host that tells no flake is taken to deploy the same as the
    /// others, where those have one. Where one cannot be pinned, none is.
    pub fn pin(&mut self, heads: &Heads) -> Result<(), DeployError> {
        let flakes = self.flakes();
        let cannot = |why| DeployError::CannotPin { revision: heads.branch.clone(), why };
        let mut pins = Vec::new();
        for parcel in &self.parcels {
            let flake = flake_of(parcel, &flakes).map_err(cannot)?;
            let head = heads.of.get(flake).cloned();
            let head = head.unwrap_or_else(|| Err(format!("{flake} was not asked"))).map_err(cannot)?;
            pins.push(Revision::new(head).map_err(|error| cannot(error.to_string()))?);
        }
        for (parcel, pin) in self.parcels.iter_mut().zip(pins) {
            parcel.pin = Some(pin);
        }
        Ok(())
    }
}

/// The one flake that the hosts of a request deploy.
fn flake_of<'a>(parcel: &'a Parcel, all: &'a BTreeSet<String>) -> Result<&'a str, String> {
    let names: Vec<_> = parcel.hosts.keys().map(Name::as_str).collect();
    let names = if names.is_empty() { parcel.subject.clone() } else { names.join(", ") };
    let untold = parcel.flakes.is_empty();
    let mut flakes = if untold { all } else { &parcel.flakes }.iter();
    match (flakes.next(), flakes.next()) {
        (Some(flake), None) => Ok(flake),
        (None, _) => Err(format!("{names} tells no flake URL, nor does any other of the hosts")),
        (Some(_), Some(_)) if untold => {
            Err(format!("{names} tells no flake URL, and the other hosts have several"))
        }
        (Some(_), Some(_)) => Err(format!("the hosts on {} have several flakes", parcel.subject)),
    }
}
