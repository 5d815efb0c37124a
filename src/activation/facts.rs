//! Facts about this host: its system, free disk space and failed units.

use crate::nix::{Profile, reboot_needed};
use jiff::Timestamp;
use std::fs;
use std::path::Path;

/// The state of a host. A fact is absent if it cannot be determined; a host need not run NixOS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Name and version of the operating system.
    pub os_version: Option<String>,
    /// Store path of the running system.
    pub system: Option<String>,
    /// Store path of the booted system.
    pub booted_system: Option<String>,
    /// Current generation of the system profile.
    pub generation: Option<u64>,
    /// Whether the running system needs a reboot to take full effect.
    pub reboot_needed: Option<bool>,
    /// When the host booted, by its own clock.
    pub booted_at: Option<Timestamp>,
    /// Free bytes on the file system of the nix store.
    pub nix_free_bytes: Option<u64>,
    /// Free bytes on `/boot`.
    pub boot_free_bytes: Option<u64>,
    /// Failed units, if the service manager was queried.
    pub failed_units: Vec<String>,
}

impl Facts {
    /// Reads the facts of the machine whose root directory is `root`.
    pub fn read(root: &Path) -> Self {
        let link = |path: &str| Some(fs::read_link(root.join(path)).ok()?.to_str()?.to_owned());
        let (system, booted_system) = (link("run/current-system"), link("run/booted-system"));
        Self {
            os_version: os_version(root),
            generation: Profile::new(root.join("nix/var/nix/profiles/system")).generation().ok().flatten(),
            reboot_needed: reboot_needed(&root.join("run/booted-system"), &root.join("run/current-system")),
            booted_at: booted_at(root),
            nix_free_bytes: free_bytes(&root.join("nix/store")),
            boot_free_bytes: system.as_ref().and_then(|_| free_bytes(&root.join("boot"))),
            system,
            booted_system,
            failed_units: Vec::new(),
        }
    }
}

fn os_version(root: &Path) -> Option<String> {
    let text = fs::read_to_string(root.join("etc/os-release")).ok()?;
    let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(name.trim_matches(['"', '\'']).to_owned())
}

fn booted_at(root: &Path) -> Option<Timestamp> {
    let stat = fs::read_to_string(root.join("proc/stat")).ok()?;
    let seconds = stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Timestamp::from_second(seconds).ok()
}

/// The free bytes on the file system of `path`; `None` if that cannot be determined.
pub fn free_bytes(path: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(path).ok()?;
    Some(stat.f_bavail * stat.f_frsize)
}
