//! A plan whose hosts all build one commit, though the branch moves meanwhile.

use super::{Parcel, Plan};
use crate::deployer::DeployError;
use crate::fleet::{Fleet, Heads};
use crate::protocol::{HostAnswer, Name, Revision, is_commit};
use std::collections::BTreeSet;

/// The commit that a request is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// The commit.
    pub commit: Revision,
    /// Whether it stands in the place of the revision, for a listener that knows nothing of commits.
    pub as_revision: bool,
}

impl Plan {
    /// Whether there is a branch or tag to look up, so that every host builds the same.
    pub fn can_be_pinned(&self) -> bool {
        self.intent.revision.as_ref().is_some_and(|revision| !is_commit(revision.as_str()))
    }

    /// The flakes whose heads are to be looked up.
    pub fn flakes(&self, fleet: &Fleet) -> BTreeSet<String> {
        let hosts = self.parcels.iter().flat_map(|parcel| parcel.hosts.keys());
        hosts.filter_map(|host| flake(answer(host, fleet)?)).map(str::to_owned).collect()
    }

    /// The commits that it is pinned to: one, or one of each flake.
    pub fn commits(&self) -> BTreeSet<&str> {
        self.parcels.iter().filter_map(|parcel| Some(parcel.pin.as_ref()?.commit.as_str())).collect()
    }

    /// Lets each host look the revision up itself.
    pub fn unpin(&mut self) {
        for parcel in &mut self.parcels {
            parcel.pin = None;
        }
    }

    /// Pins every request to the head of its host's flake. A host that tells no flake is taken to deploy the same as the
    /// others, where those have one.
    pub fn pin(&mut self, heads: &Heads, fleet: &Fleet) -> Result<(), DeployError> {
        let flakes = self.flakes(fleet);
        for parcel in &mut self.parcels {
            let revision = heads.branch.clone();
            let cannot = |why: String| DeployError::CannotPin { revision: revision.clone(), why };
            let flake = flake_of(parcel, &flakes, fleet).map_err(cannot)?;
            let head = heads.of.get(flake).cloned();
            let head = head.unwrap_or_else(|| Err(format!("{flake} was not asked")));
            let commit = head.and_then(|head| Revision::new(head).map_err(|error| error.to_string()));
            let old = |host| answer(host, fleet).is_some_and(|answer| answer.version.is_none());
            let as_revision = parcel.hosts.keys().any(old);
            parcel.pin = Some(Pin { commit: commit.map_err(cannot)?, as_revision });
        }
        Ok(())
    }
}

/// The one flake that the hosts of a request deploy.
fn flake_of<'a>(parcel: &Parcel, flakes: &'a BTreeSet<String>, fleet: &Fleet) -> Result<&'a str, String> {
    let hosts = parcel.hosts.keys();
    let own: BTreeSet<_> = hosts.filter_map(|host| flake(answer(host, fleet)?)).collect();
    let of: Vec<_> = flakes.iter().filter(|flake| own.is_empty() || own.contains(flake.as_str())).collect();
    let names: Vec<_> = parcel.hosts.keys().map(Name::as_str).collect();
    let names = if names.is_empty() { parcel.subject.clone() } else { names.join(", ") };
    match of[..] {
        [flake] => Ok(flake),
        [] => Err(format!("{names} tells no flake URL, nor does any other of the hosts")),
        _ if own.is_empty() => Err(format!("{names} tells no flake URL, and the other hosts have several")),
        _ => Err(format!("the hosts on {} have several flakes", parcel.subject)),
    }
}

fn answer<'a>(host: &Name, fleet: &'a Fleet) -> Option<&'a HostAnswer> {
    fleet.hosts.get(host)?.answer.as_deref()
}

fn flake(answer: &HostAnswer) -> Option<&str> {
    answer.flake_url.as_deref()
}
