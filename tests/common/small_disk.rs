//! A small file system, for tests of a full disk. Only root can mount one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A tmpfs that is mounted until it is dropped.
pub struct SmallDisk {
    dir: PathBuf,
}

impl SmallDisk {
    /// Mounts a file system; `None` if this user may not.
    pub fn mount(dir: &Path, mib: u64) -> Option<Self> {
        fs::create_dir_all(dir).unwrap();
        let size = format!("size={mib}m,mode=755");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(dir).output();
        mounted.is_ok_and(|mounted| mounted.status.success()).then(|| Self { dir: dir.to_owned() })
    }

    /// Mounts a file system of 1 MiB for the state directory of a service; `None`, with a message, if this user may not.
    #[expect(clippy::print_stdout, reason = "shows that the test checked nothing")]
    pub fn for_state(dir: &Path) -> Option<(PathBuf, Self)> {
        let state_dir = dir.join("state");
        let disk = Self::mount(&state_dir, 1);
        if disk.is_none() {
            println!("NOT RUN: only root can mount a small disk");
        }
        Some((state_dir, disk?))
    }

    /// Fills the remaining space.
    pub fn fill(&self) {
        // In chunks of decreasing size, because other processes use and release space at the same time.
        for (n, piece) in [1 << 20, 64 << 10, 4 << 10, 1].into_iter().enumerate() {
            let bytes = vec![0; piece];
            let file = self.ballast().join(n.to_string());
            fs::create_dir_all(self.ballast()).unwrap();
            let mut file = fs::OpenOptions::new().create(true).append(true).open(file).unwrap();
            while std::io::Write::write_all(&mut file, &bytes).is_ok() {}
        }
    }

    /// Releases the space.
    pub fn relieve(&self) {
        let _ = fs::remove_dir_all(self.ballast());
    }

    fn ballast(&self) -> PathBuf {
        self.dir.join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.dir).output();
    }
}
