//! The rows of the table: hosts and group headings.

use crate::fleet::{AttentionGroup, Host};
use crate::protocol::Name;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Range;

/// The hosts under one heading: of one tier and role, or with one need of attention.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HostGroup {
    /// The need of attention; if set, the hosts have any tier and role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attention: Option<AttentionGroup>,
    /// Tier, if the hosts have one.
    pub tier: Option<Name>,
    /// Role, if the hosts have one.
    pub role: Option<Name>,
}

impl fmt::Display for HostGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(attention) = self.attention {
            return f.write_str(attention.as_str());
        }
        let word = |name: &Option<Name>| name.as_ref().map_or("none", Name::as_str).to_owned();
        write!(f, "tier {}, role {}", word(&self.tier), word(&self.role))
    }
}

impl HostGroup {
    pub(in crate::tui) fn of(host: &Host) -> Self {
        Self { attention: None, tier: host.tier.clone(), role: host.role.clone() }
    }

    pub(super) fn attention(group: AttentionGroup) -> Self {
        Self { attention: Some(group), ..Self::default() }
    }
}

/// A row of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableRow {
    /// The heading of a group, and the range of its hosts among the listed hosts. Boxed, because nearly all rows are hosts.
    Group(Box<HostGroup>, Range<usize>),
    /// A host.
    Host(Name),
}

impl TableRow {
    /// The host of this row; `None` for a group heading.
    pub fn host(&self) -> Option<&Name> {
        match self {
            Self::Host(name) => Some(name),
            Self::Group(..) => None,
        }
    }

    /// Whether both rows show the same host or group.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Host(a), Self::Host(b)) => a == b,
            (Self::Group(a, _), Self::Group(b, _)) => a == b,
            _ => false,
        }
    }
}
