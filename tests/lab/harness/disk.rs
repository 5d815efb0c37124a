//! A small disk for a host, to see it run full.

use super::tool;
use std::fs;
use std::path::{Path, PathBuf};

/// The file that takes the room away. Hosts do not see it.
const BALLAST: &str = "ballast";
const MIB: u64 = 1 << 20;

/// A file system of its own below a host's `/nix`, `/boot` and state, kept until it is dropped.
pub(super) struct Disk {
    folder: PathBuf,
}

impl Disk {
    /// Mounts one there.
    pub(super) fn mount(folder: &Path, mib: u64) -> Self {
        let size = format!("size={mib}m,mode=755");
        tool("mount", &["-t", "tmpfs", "-o", &size, "tmpfs", folder.to_str().unwrap()]).unwrap();
        Self { folder: folder.to_owned() }
    }

    /// Takes all room but this, or gives it back.
    pub(super) fn leave(&self, mib: u64) {
        let ballast = self.folder.join(BALLAST);
        let _ = fs::remove_file(&ballast);
        let stat = rustix::fs::statvfs(&self.folder).unwrap();
        let take = (stat.f_bavail * stat.f_frsize).saturating_sub(mib * MIB);
        let file = fs::File::create(ballast).unwrap();
        rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, take.max(1)).unwrap();
    }

    /// Gives all room back.
    pub(super) fn relieve(&self) {
        let _ = fs::remove_file(self.folder.join(BALLAST));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // What stays is found and told by the lab.
        let _ = unmount_below(&self.folder);
    }
}

/// Unmounts everything at and below a folder, the newest first.
pub(super) fn unmount_below(folder: &Path) -> Result<(), String> {
    let mounts = fs::read_to_string("/proc/self/mounts").map_err(|error| error.to_string())?;
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(1));
    let points: Vec<_> = points.filter(|point| Path::new(point).starts_with(folder)).collect();
    points.iter().rev().try_for_each(|point| tool("umount", &[point]).map(drop))
}
