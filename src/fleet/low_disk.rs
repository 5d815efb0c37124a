//! A file system of a host that is nearly full.

use crate::protocol::Presence;
use strum::IntoStaticStr;

/// Free space on `/boot` below which it counts as nearly full, in bytes: a kernel and its initrd take 30 to 60 MiB.
pub const LOW_BOOT_BYTES: u64 = 64 << 20;
/// The same for the nix store: with less than 1 GiB, the default of `--min-free`, a host refuses every job, and one
/// update often takes as much again.
pub const LOW_STORE_BYTES: u64 = 2 << 30;
/// The same for the state directory: the default of `--min-free`.
pub const LOW_STATE_BYTES: u64 = 1 << 30;

/// Which file system is nearly full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, Hash)]
pub enum DiskPlace {
    /// The file system of `/boot`.
    #[strum(serialize = "/boot")]
    Boot,
    /// The file system of the nix store.
    #[strum(serialize = "store")]
    Store,
    /// The file system of the listener's state directory.
    #[strum(serialize = "state directory")]
    State,
}

impl DiskPlace {
    /// The name on screens.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// A file system that is nearly full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LowDisk {
    /// Which one.
    pub place: DiskPlace,
    /// Its free space in bytes.
    pub free_bytes: u64,
}

impl LowDisk {
    /// The nearly full file systems of a host, the one that stops a deployment first at the front.
    pub fn of(answer: &Presence) -> impl Iterator<Item = Self> {
        let places = [
            (DiskPlace::Boot, answer.boot_free_bytes, LOW_BOOT_BYTES),
            (DiskPlace::Store, answer.nix_free_bytes, LOW_STORE_BYTES),
            (DiskPlace::State, answer.state_free_bytes, LOW_STATE_BYTES),
        ];
        let low = |(place, free, limit): (DiskPlace, Option<u64>, u64)| {
            free.filter(|free| *free < limit).map(|free_bytes| Self { place, free_bytes })
        };
        places.into_iter().filter_map(low)
    }
}
