//! A small disk for a host, which can be filled.

use super::tool;
use std::fs;
use std::path::{Path, PathBuf};

/// The file that fills the disk. Hosts do not see it.
const BALLAST: &str = "ballast";
const MIB: u64 = 1 << 20;

/// A separate file system below a host's `/nix`, `/boot` and state; unmounted when it is dropped.
pub(super) struct Disk {
    dir: PathBuf,
}

impl Disk {
    /// Mounts a file system of this size.
    pub(super) fn mount(dir: &Path, mib: u64) -> Self {
        let size = format!("size={mib}m,mode=755");
        tool("mount", &["-t", "tmpfs", "-o", &size, "tmpfs", dir.to_str().unwrap()]).unwrap();
        Self { dir: dir.to_owned() }
    }

    /// Fills the disk except for this much space, or frees space until this much is free.
    pub(super) fn leave_free(&self, mib: u64) {
        let ballast = self.dir.join(BALLAST);
        let _ = fs::remove_file(&ballast);
        let stat = rustix::fs::statvfs(&self.dir).unwrap();
        let take = (stat.f_bavail * stat.f_frsize).saturating_sub(mib * MIB);
        let file = fs::File::create(ballast).unwrap();
        rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, take.max(1)).unwrap();
    }

    /// Frees all space.
    pub(super) fn free(&self) {
        let _ = fs::remove_file(self.dir.join(BALLAST));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // The lab finds and reports mounts that are left.
        let _ = unmount_below(&self.dir);
    }
}

/// Unmounts everything at and below a directory, the newest first.
pub(super) fn unmount_below(dir: &Path) -> Result<(), String> {
    let mounts = fs::read_to_string("/proc/self/mounts").map_err(|error| error.to_string())?;
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(1));
    let points: Vec<_> = points.filter(|point| Path::new(point).starts_with(dir)).collect();
    points.iter().rev().try_for_each(|point| tool("umount", &[point]).map(drop))
}
