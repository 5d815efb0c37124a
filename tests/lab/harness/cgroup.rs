//! A control group: all processes in it can be ended together, including nested groups and orphaned processes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// How long killed processes may take to exit.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The mount points of control groups: version 2 first, then systemd's hierarchy of version 1 if there is one. There,
/// systemd-nspawn creates directories too.
static ROOTS: LazyLock<Vec<PathBuf>> = LazyLock::new(|| {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let found = |is_match: fn(&str, &str) -> bool| {
        let mut mounts = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        mounts.find(|mount| is_match(mount[2], mount[3])).map(|mount| PathBuf::from(mount[1]))
    };
    let unified = found(|kind, _| kind == "cgroup2").expect("control groups of version 2 are mounted");
    let named = found(|kind, options| kind == "cgroup" && options.contains("name=systemd"));
    [unified].into_iter().chain(named).collect()
});

/// A control group, by its path below the mount point.
#[derive(Debug, Clone)]
pub(crate) struct Cgroup(String);

impl Cgroup {
    /// Creates a group.
    pub(crate) fn create(name: String) -> Self {
        let group = Self(name);
        fs::create_dir_all(group.path(&ROOTS[0])).unwrap();
        group
    }

    /// Creates a child group.
    pub(crate) fn child(&self, name: &str) -> Self {
        Self::create(format!("{}/{name}", self.0))
    }

    /// The file that processes are added with; writing 0 adds the writer.
    pub(crate) fn procs(&self) -> PathBuf {
        self.path(&ROOTS[0]).join("cgroup.procs")
    }

    /// Moves a process into the group.
    pub(crate) fn adopt(&self, pid: u32) {
        fs::write(self.procs(), pid.to_string()).unwrap();
    }

    /// Kills all processes in the group of this name and removes it.
    pub(crate) fn end(name: &str) -> Result<(), String> {
        let group = Self(name.to_owned());
        // A missing cgroup.kill file means that the group is gone already.
        let _ = fs::write(group.path(&ROOTS[0]).join("cgroup.kill"), "1");
        let started_at = Instant::now();
        for root in &*ROOTS {
            let path = group.path(root);
            while let Err(error) = prune(&path) {
                if started_at.elapsed() > TIMEOUT {
                    return Err(format!("{}: {error}", path.display()));
                }
                // The end of the last process of a group causes no event, so the directory is polled.
                std::thread::park_timeout(Duration::from_millis(5));
            }
        }
        Ok(())
    }

    /// Ends this group.
    pub(crate) fn end_this(&self) -> Result<(), String> {
        Self::end(&self.0)
    }

    fn path(&self, root: &Path) -> PathBuf {
        root.join(&self.0)
    }
}

/// Removes the directories; the files in them belong to the kernel.
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
