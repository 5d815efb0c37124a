//! Paths of the host that is changed, and its boot id.

use crate::jobs::PreviousSystem;
use crate::nix::SYSTEM_PROFILE;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A host, given by its root directory and its system profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPaths {
    /// The directory that contains `/run` and `/proc`; `/` except in tests.
    pub root: PathBuf,
    /// The system profile.
    pub profile: PathBuf,
}

impl Default for HostPaths {
    fn default() -> Self {
        Self { root: PathBuf::from("/"), profile: PathBuf::from(SYSTEM_PROFILE) }
    }
}

impl HostPaths {
    /// Store path of the running system.
    pub fn current_system(&self) -> Option<String> {
        target(&self.root.join("run/current-system"))
    }

    /// Store path of the booted system.
    pub fn booted_system(&self) -> Option<String> {
        target(&self.root.join("run/booted-system"))
    }

    /// The fallback directory for files that cannot be written to the state directory. It is cleared at boot.
    pub fn runtime_dir(&self) -> PathBuf {
        self.root.join("run/homelab-deploy")
    }

    /// Store path that the profile resolves to.
    pub fn profile_target(&self) -> Option<String> {
        fs::canonicalize(&self.profile).ok()?.into_os_string().into_string().ok()
    }

    /// Target of the profile's own link, such as `system-42-link`.
    pub fn profile_link(&self) -> Option<String> {
        target(&self.profile)
    }

    /// The kernel's id of the current boot.
    pub fn boot_id(&self) -> Option<String> {
        let id = fs::read_to_string(self.root.join("proc/sys/kernel/random/boot_id"))
            .or_else(|_| fs::read_to_string("/proc/sys/kernel/random/boot_id"));
        Some(id.ok()?.trim().to_owned())
    }

    /// Whether systemd runs the host.
    pub fn has_systemd(&self) -> bool {
        self.root.join("run/systemd/system").is_dir()
    }

    /// Captures what runs now. The caller provides the failed units.
    pub fn snapshot(&self, failed_units: Vec<String>) -> PreviousSystem {
        PreviousSystem {
            system: self.current_system(),
            profile_link: self.profile_link(),
            profile_target: self.profile_target(),
            failed_units,
            looping_units: Vec::new(),
            restarts: BTreeMap::new(),
            boot_id: self.boot_id(),
        }
    }
}

fn target(link: &Path) -> Option<String> {
    fs::read_link(link).ok()?.into_os_string().into_string().ok()
}
