//! Whether a system needs a reboot before all of it runs.

use std::fs;
use std::path::Path;

/// What only a boot takes up.
const BOOT_PARTS: [&str; 3] = ["kernel", "initrd", "kernel-modules"];

/// Whether the system at `system` needs a reboot where `booted` was booted; nothing where one of them is not there. A
/// system without a kernel, as in a container, never does.
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

    /// A system whose parts are those of the given builds; an empty one is left out.
    fn system(parts: [&str; 3]) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, build) in BOOT_PARTS.into_iter().zip(parts).filter(|(_, build)| !build.is_empty()) {
            symlink(format!("/nix/store/{build}/{name}"), folder.path().join(name)).unwrap();
        }
        folder
    }

    #[test]
    fn what_only_a_boot_takes_up_needs_one() {
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
    fn without_both_systems_nothing_is_known() {
        let there = system(["a", "a", "a"]);
        let away = there.path().join("away");
        assert_eq!(reboot_needed(&away, there.path()), None);
        assert_eq!(reboot_needed(there.path(), &away), None);
    }
}
