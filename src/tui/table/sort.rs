//! The sort columns of the table.

use crate::fleet::{Host, describe};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
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
        sort_hosts(
            hosts,
            match self {
                Self::Host => return,
                // The groups follow each other in the order of the severity.
                Self::Attention | Self::State => return hosts.sort_by_cached_key(|host| host.rank(now)),
                Self::Revision => return hosts.sort_by_cached_key(|host| describe::running_revision(host)),
                Self::Tier => |a, b| a.tier.cmp(&b.tier),
                Self::Role => |a, b| a.role.cmp(&b.role),
                // The most recently seen host comes first.
                Self::Seen => |a, b| b.last_seen.cmp(&a.last_seen),
                Self::Deployed => |a, b| b.deployed_at().cmp(&a.deployed_at()),
                Self::Gen => |a, b| generation(b).cmp(&generation(a)),
                // Hosts that do not report it come last.
                Self::Store => |a, b| free_in_store(a).cmp(&free_in_store(b)),
                Self::Boot => |a, b| free_on_boot(a).cmp(&free_on_boot(b)),
            },
        );
    }
}

/// Sorts hosts; the sort is stable. The comparison is a function pointer, so that all of them share one sort.
pub(super) fn sort_hosts(hosts: &mut [&Host], compare: fn(&Host, &Host) -> Ordering) {
    hosts.sort_by(|a, b| compare(a, b));
}

fn generation(host: &Host) -> Option<u64> {
    host.answer.as_deref()?.generation
}

fn free_in_store(host: &Host) -> u64 {
    host.answer.as_deref().and_then(|answer| answer.nix_free_bytes).unwrap_or(u64::MAX)
}

fn free_on_boot(host: &Host) -> u64 {
    host.answer.as_deref().and_then(|answer| answer.boot_free_bytes).unwrap_or(u64::MAX)
}
