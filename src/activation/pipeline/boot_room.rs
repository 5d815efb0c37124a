//! Whether the kernel of a new system finds room where the boot loader keeps it.

use super::Run;
use crate::nix::Profile;
use crate::protocol::Action;
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What a boot loader copies.
const COPIED: [&str; 2] = ["kernel", "initrd"];

impl Run {
    /// Only what no generation has brought there yet takes room. A system without a kernel, as in a container, has no boot
    /// loader either.
    pub(super) fn boot_room(&self, system: &str) -> Result<(), String> {
        let persists = matches!(self.order.request.action, Action::Switch | Action::Boot | Action::Rollback);
        let Ok(stat) = rustix::fs::statvfs(self.host().root.join("boot")) else { return Ok(()) };
        if !persists {
            return Ok(());
        }
        let generations = Profile::new(&self.host().profile).generations().unwrap_or_default();
        let there: HashSet<PathBuf> =
            generations.iter().flat_map(|generation| copied(&generation.system)).collect();
        let new = copied(Path::new(system)).filter(|file| !there.contains(file));
        let needed: u64 = new.filter_map(|file| Some(fs::metadata(file).ok()?.len())).sum();
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        if needed <= free {
            return Ok(());
        }
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        Err(format!(
            "only {} MiB are free on /boot, and the new kernel and initrd take {} MiB; delete old generations",
            free >> 20,
            mib(needed)
        ))
    }
}

fn copied(system: &Path) -> impl Iterator<Item = PathBuf> {
    COPIED.into_iter().filter_map(|name| fs::canonicalize(system.join(name)).ok())
}
