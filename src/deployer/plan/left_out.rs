//! Hosts of a group that nothing is sent to, because they are not what is known of them.

use super::is_of;
use crate::fleet::Host;
use crate::protocol::{Difference, Doubt, Name};
use std::fmt;

/// Why a host is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeftOut {
    /// What is sent in its name is not proven.
    Unproven(Doubt),
    /// It says something else of itself than what is known.
    Differs(Difference),
}

impl LeftOut {
    /// Why this host is left out, if it is.
    pub(super) fn of(host: &Host) -> Option<Self> {
        let identity = &host.identity;
        if let Some(difference) = &identity.differs {
            return Some(Self::Differs(difference.clone()));
        }
        identity.doubt.clone().filter(|_| !identity.proven).map(Self::Unproven)
    }

    /// What an operator reads about this host, with what to do.
    pub fn advice(&self, host: &Name) -> String {
        let check = match self {
            Self::Differs(_) => "if that is right,",
            Self::Unproven(_) => "check the host, then",
        };
        format!("{host} is left out: {self}; {check} run `homelab-deploy hosts --trust {host}`")
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unproven(doubt) => write!(f, "not proven: {doubt}"),
            Self::Differs(difference) => write!(f, "changed: {difference}"),
        }
    }
}

/// Whether a host belongs to a tier and role: by what it says, and by the tier that is known of it, so that none leaves its tier
/// unnoticed.
pub(super) fn is_meant(host: &Host, tier: Option<&Name>, role: Option<&Name>) -> bool {
    let left = match &host.identity.differs {
        Some(Difference::Tier { known, .. }) => Some(known) == tier && is_of(host, None, role),
        _ => false,
    };
    left || is_of(host, tier, role)
}
