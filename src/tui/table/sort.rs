//! The sort columns of the table.

use crate::fleet::{Host, describe};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use strum::{IntoStaticStr, VariantArray};

/// A sort column, in the order of the key that selects the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "lowercase")]
#[serde(rename_all = "lowercase")]
pub enum Sort {
    /// What needs attention first, under headings; then hosts that run a job, then the others.
    #[default]
    Attention,
    /// Name, with numbers in natural order.
    Host,
    /// Tier.
    Tier,
    /// Role.
    Role,
    /// Status, the one that needs most attention first.
    State,
    /// Revision that the host runs.
    Revision,
    /// Time of the last message, the newest first.
    Seen,
}

impl Sort {
    /// The next sort column; after the last one, the first.
    #[must_use]
    pub fn next(self) -> Self {
        let at = Self::VARIANTS.iter().position(|sort| *sort == self).unwrap_or(0);
        Self::VARIANTS[(at + 1) % Self::VARIANTS.len()]
    }

    /// Name of the sort column on the command line.
    pub fn word(self) -> &'static str {
        self.into()
    }

    /// Sorts hosts that are already in natural order; the sort is stable.
    pub(super) fn arrange(self, hosts: &mut [&Host], now: Timestamp) {
        match self {
            Self::Attention => hosts.sort_by_cached_key(|host| {
                let status = host.status(now);
                (status.group(), status.rank())
            }),
            Self::Host => {}
            Self::Tier => hosts.sort_by_key(|host| host.tier.as_ref()),
            Self::Role => hosts.sort_by_key(|host| host.role.as_ref()),
            Self::State => hosts.sort_by_cached_key(|host| host.rank(now)),
            Self::Revision => hosts.sort_by_cached_key(|host| describe::running_revision(host)),
            // The most recently seen host comes first.
            Self::Seen => hosts.sort_by_key(|host| Reverse(host.last_seen)),
        }
    }
}
