//! The orders of the table.

use crate::fleet::{Host, words};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;

/// The column that rows are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sort {
    /// The name, numbers in it by their value.
    #[default]
    Host,
    /// The tier.
    Tier,
    /// The role.
    Role,
    /// The state, what needs attention first.
    State,
    /// What runs.
    Revision,
    /// The last sign of life.
    Seen,
}

impl Sort {
    /// Every column, in the order in which they follow each other.
    pub const ALL: [Self; 6] = [Self::Host, Self::Tier, Self::Role, Self::State, Self::Revision, Self::Seen];

    /// The next column.
    #[must_use]
    pub fn next(self) -> Self {
        let at = Self::ALL.iter().position(|sort| *sort == self).unwrap_or(0);
        Self::ALL[(at + 1) % Self::ALL.len()]
    }

    /// Its name.
    pub fn word(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Tier => "tier",
            Self::Role => "role",
            Self::State => "state",
            Self::Revision => "revision",
            Self::Seen => "seen",
        }
    }

    /// Sorts hosts that come by name; those that are equal in this column stay so.
    pub(super) fn arrange(self, hosts: &mut [&Host], now: Timestamp) {
        match self {
            Self::Host => {}
            Self::Tier => hosts.sort_by_key(|host| host.tier.as_ref()),
            Self::Role => hosts.sort_by_key(|host| host.role.as_ref()),
            Self::State => hosts.sort_by_cached_key(|host| host.rank(now)),
            Self::Revision => hosts.sort_by_cached_key(|host| words::runs(host)),
            // The last heard of first.
            Self::Seen => hosts.sort_by_key(|host| Reverse(host.seen)),
        }
    }
}
