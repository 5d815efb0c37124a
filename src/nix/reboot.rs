//! Determines whether a system needs a reboot to take full effect.

use std::fs;
use std::path::Path;

/// The parts of a system that only take effect after a reboot.
const BOOT_PARTS: [&str; 3] = ["kernel", "initrd", "kernel-modules"];

/// Whether `system` needs a reboot if `booted` is the booted system; `None` if one of them does not exist. A system without a
/// kernel, as in a container, never needs one.
pub fn reboot_needed(booted: &Path, system: &Path) -> Option<bool> {
    if !booted.is_dir() || !system.is_dir() {
        return None;
    }
    let part = |of: &Path, name: &str| fs::read_link(of.join(name)).ok();
    let has_kernel = part(system, "kernel").is_some();
    Some(has_kernel && BOOT_PARTS.into_iter().any(|name| part(booted, name) != part(system, name)))
}

#[cfg(test)]
mod tests {
    use super::{BOOT_PARTS, reboot_needed};
    use std::os::unix::fs::symlink;
    use tempfile::TempDir;

    /// A system with links to these builds of kernel, initrd and modules. An empty name leaves out that part.
    fn system(parts: [&str; 3]) -> TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, build) in BOOT_PARTS.into_iter().zip(parts).filter(|(_, build)| !build.is_empty()) {
            symlink(format!("/nix/store/{build}/{name}"), dir.path().join(name)).unwrap();
        }
        dir
    }

    #[test]
    fn changed_kernel_initrd_or_modules_need_a_reboot() {
        for (booted, new, expected) in [
            (["a", "a", "a"], ["a", "a", "a"], false),
            (["a", "a", "a"], ["b", "a", "a"], true),
            (["a", "a", "a"], ["a", "b", "a"], true),
            (["a", "a", "a"], ["a", "a", "b"], true),
            (["a", "a", "a"], ["a", "", "a"], true),
            (["a", "a", "a"], ["", "", ""], false),
            (["", "", ""], ["", "", ""], false),
            (["", "", ""], ["a", "a", "a"], true),
        ] {
            let (booted, new) = (system(booted), system(new));
            assert_eq!(reboot_needed(booted.path(), new.path()), Some(expected));
        }
    }

    #[test]
    fn missing_system_gives_no_answer() {
        let existing = system(["a", "a", "a"]);
        let missing = existing.path().join("missing");
        assert_eq!(reboot_needed(&missing, existing.path()), None);
        assert_eq!(reboot_needed(existing.path(), &missing), None);
    }
}
