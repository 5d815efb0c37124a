//! The host that is changed: where its system and profile are, and which boot this is.

use crate::jobs::System;
use crate::nix::SYSTEM_PROFILE;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A host by its root directory and its system profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPaths {
    /// Where `/run` and `/proc` are looked for; `/` but in tests.
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
    /// The store path of the running system.
    pub fn current_system(&self) -> Option<String> {
        target(&self.root.join("run/current-system"))
    }

    /// The store path of the system that was booted.
    pub fn booted_system(&self) -> Option<String> {
        target(&self.root.join("run/booted-system"))
    }

    /// Where is written what the state directory does not take; it ends with the boot.
    pub fn runtime_dir(&self) -> PathBuf {
        self.root.join("run/homelab-deploy")
    }

    /// The store path that the profile resolves to.
    pub fn profile_target(&self) -> Option<String> {
        fs::canonicalize(&self.profile).ok()?.into_os_string().into_string().ok()
    }

    /// What the profile's own link names, such as `system-42-link`.
    pub fn profile_link(&self) -> Option<String> {
        target(&self.profile)
    }

    /// Which boot this is.
    pub fn boot_id(&self) -> Option<String> {
        let id = fs::read_to_string(self.root.join("proc/sys/kernel/random/boot_id"))
            .or_else(|_| fs::read_to_string("/proc/sys/kernel/random/boot_id"));
        Some(id.ok()?.trim().to_owned())
    }

    /// Whether systemd runs the host.
    pub fn has_systemd(&self) -> bool {
        self.root.join("run/systemd/system").is_dir()
    }

    /// What runs now; the failed units are told by whoever asks the service manager.
    pub fn snapshot(&self, failed_units: Vec<String>) -> System {
        System {
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
