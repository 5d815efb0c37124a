//! The rows of the table: hosts, and the headings of groups.

use crate::fleet::Host;
use crate::protocol::Name;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Range;

/// The hosts of one tier and role.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Group {
    /// The tier.
    pub tier: Option<Name>,
    /// The role.
    pub role: Option<Name>,
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |name: &Option<Name>| name.as_ref().map_or("none", Name::as_str).to_owned();
        write!(f, "tier {}, role {}", word(&self.tier), word(&self.role))
    }
}

impl Group {
    pub(super) fn of(host: &Host) -> Self {
        Self { tier: host.tier.clone(), role: host.role.clone() }
    }
}

/// A row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// The heading of a group, and where its hosts are among those that are listed.
    Group(Group, Range<usize>),
    /// A host.
    Host(Name),
}

impl Row {
    /// The host of this row.
    pub fn host(&self) -> Option<&Name> {
        match self {
            Self::Host(name) => Some(name),
            Self::Group(..) => None,
        }
    }

    /// Whether both are about the same host or group.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Host(a), Self::Host(b)) => a == b,
            (Self::Group(a, _), Self::Group(b, _)) => a == b,
            _ => false,
        }
    }
}
