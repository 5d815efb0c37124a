//! The sort columns of the table.

use crate::fleet::{Host, describe};
use crate::protocol::Presence;
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
    /// Time of the last deployment, the newest first.
    Deployed,
    /// Generation, the highest first.
    Gen,
    /// Free space in the nix store, the smallest first.
    Store,
    /// Free space on `/boot`, the smallest first.
    Boot,
}

impl Sort {
    /// The next sort column; after the last one, the first.
    #[must_use]
    pub fn next(self) -> Self {
        let at = Self::VARIANTS.iter().position(|sort| *sort == self).unwrap_or(0);
        Self::VARIANTS[(at + 1) % Self::VARIANTS.len()]
    }

    /// Whether the order depends on what any report of a host can change.
    pub(super) fn follows_reports(self) -> bool {
        matches!(self, Self::Revision | Self::Seen | Self::Deployed | Self::Gen | Self::Store | Self::Boot)
    }

    /// Whether the order depends on the severity of the hosts.
    pub(super) fn is_by_rank(self) -> bool {
        matches!(self, Self::Attention | Self::State)
    }

    /// Name of the sort column on the command line.
    pub fn word(self) -> &'static str {
        self.into()
    }

    /// Sorts hosts that are already in natural order; the sort is stable.
    pub(super) fn arrange(self, hosts: &mut [&Host], now: Timestamp) {
        match self {
            Self::Host => {}
            Self::Tier => hosts.sort_by_key(|host| host.tier.as_ref()),
            Self::Role => hosts.sort_by_key(|host| host.role.as_ref()),
            // The groups follow each other in the order of the severity.
            Self::Attention | Self::State => hosts.sort_by_cached_key(|host| host.rank(now)),
            Self::Revision => hosts.sort_by_cached_key(|host| describe::running_revision(host)),
            // The most recently seen host comes first.
            Self::Seen => hosts.sort_by_key(|host| Reverse(host.last_seen)),
            Self::Deployed => hosts.sort_by_key(|host| Reverse(host.deployed_at())),
            Self::Gen => hosts.sort_by_key(|host| Reverse(answer(host, |answer| answer.generation))),
            // Hosts that do not report it come last.
            Self::Store => hosts.sort_by_key(|host| free(host, |answer| answer.nix_free_bytes)),
            Self::Boot => hosts.sort_by_key(|host| free(host, |answer| answer.boot_free_bytes)),
        }
    }
}

fn answer<T>(host: &Host, value: impl FnOnce(&Presence) -> Option<T>) -> Option<T> {
    value(host.answer.as_deref()?)
}

fn free(host: &Host, value: impl FnOnce(&Presence) -> Option<u64>) -> u64 {
    answer(host, value).unwrap_or(u64::MAX)
}
