//! A small file system, to see it run full. Only root can mount one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system of its own in a folder, until it is dropped.
pub struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    /// Mounts one there; `None` where this user may not.
    pub fn mount(folder: &Path, mib: u64) -> Option<Self> {
        fs::create_dir_all(folder).unwrap();
        let size = format!("size={mib}m,mode=755");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder).output();
        mounted.is_ok_and(|mounted| mounted.status.success()).then(|| Self { folder: folder.to_owned() })
    }

    /// Takes all the room that is left.
    pub fn fill(&self) {
        // In pieces, the smaller the later: others take and give back room meanwhile.
        for (n, piece) in [1 << 20, 64 << 10, 4 << 10, 1].into_iter().enumerate() {
            let bytes = vec![0; piece];
            let file = self.ballast().join(n.to_string());
            fs::create_dir_all(self.ballast()).unwrap();
            let mut file = fs::OpenOptions::new().create(true).append(true).open(file).unwrap();
            while std::io::Write::write_all(&mut file, &bytes).is_ok() {}
        }
    }

    /// Gives it back.
    pub fn relieve(&self) {
        let _ = fs::remove_dir_all(self.ballast());
    }

    fn ballast(&self) -> PathBuf {
        self.folder.join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.folder).output();
    }
}
