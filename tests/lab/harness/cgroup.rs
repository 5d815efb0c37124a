//! A control group: everything in it ends at once, however deep it is nested and whoever its parent was.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// How long processes that were killed may take to be gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where control groups are mounted: version 2 first, then systemd's own hierarchy of version 1 where there is one, in
/// which systemd-nspawn makes folders too.
static ROOTS: LazyLock<Vec<PathBuf>> = LazyLock::new(|| {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let found = |wanted: fn(&str, &str) -> bool| {
        let mut mounts = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        mounts.find(|mount| wanted(mount[2], mount[3])).map(|mount| PathBuf::from(mount[1]))
    };
    let unified = found(|kind, _| kind == "cgroup2").expect("control groups of version 2 are mounted");
    let named = found(|kind, options| kind == "cgroup" && options.contains("name=systemd"));
    [unified].into_iter().chain(named).collect()
});

/// A control group, by its path below the root.
#[derive(Debug, Clone)]
pub(crate) struct Cgroup(String);

impl Cgroup {
    /// One that exists from now on.
    pub(crate) fn create(name: String) -> Self {
        let group = Self(name);
        fs::create_dir_all(group.path(&ROOTS[0])).unwrap();
        group
    }

    /// One inside it.
    pub(crate) fn child(&self, name: &str) -> Self {
        Self::create(format!("{}/{name}", self.0))
    }

    /// The file that takes the numbers of processes; 0 is the writer.
    pub(crate) fn procs(&self) -> PathBuf {
        self.path(&ROOTS[0]).join("cgroup.procs")
    }

    /// Takes a process in.
    pub(crate) fn adopt(&self, pid: u32) {
        fs::write(self.procs(), pid.to_string()).unwrap();
    }

    /// Kills everything in the group of this name and removes it.
    pub(crate) fn end(name: &str) -> Result<(), String> {
        let group = Self(name.to_owned());
        // Without it, there may be nothing to end.
        let _ = fs::write(group.path(&ROOTS[0]).join("cgroup.kill"), "1");
        let begun = Instant::now();
        for root in &*ROOTS {
            let path = group.path(root);
            while let Err(error) = prune(&path) {
                if begun.elapsed() > PATIENCE {
                    return Err(format!("{}: {error}", path.display()));
                }
                // The last process of a group gives no event that could be waited for without a watch on each of them.
                std::thread::park_timeout(Duration::from_millis(5));
            }
        }
        Ok(())
    }

    /// The same for this one.
    pub(crate) fn end_this(&self) -> Result<(), String> {
        Self::end(&self.0)
    }

    fn path(&self, root: &Path) -> PathBuf {
        root.join(&self.0)
    }
}

/// Removes the folders; the files in them are the kernel's.
fn prune(path: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            prune(&entry.path())?;
        }
    }
    fs::remove_dir(path)
}
