//! Memory limits in a control group of version 2, or of version 1 if this machine has only that.

use crate::common::eventually;
use std::fs;
use std::path::{Path, PathBuf};

/// Limits the memory of a process of a host, in MiB.
pub(super) fn limit(machine: &str, leader: u32, pid: u32, mib: u64) {
    let group = PathBuf::from("/sys/fs/cgroup/memory").join(format!("homelab-deploy-{machine}"));
    fs::create_dir_all(&group).expect("control groups of version 1 for memory");
    let bytes = (mib << 20).to_string();
    fs::write(group.join("memory.limit_in_bytes"), bytes).unwrap();
    fs::write(group.join("cgroup.procs"), on_this_machine(leader, pid).to_string()).unwrap();
}

/// Whether this machine supports such limits.
pub(crate) fn can_limit() -> bool {
    Path::new("/sys/fs/cgroup/memory/memory.limit_in_bytes").exists()
}

/// Removes the group of a host after all its processes have ended.
pub(super) fn release(machine: &str) {
    let group = PathBuf::from("/sys/fs/cgroup/memory").join(format!("homelab-deploy-{machine}"));
    if group.exists() {
        eventually("the memory group being empty", || fs::remove_dir(&group).ok());
    }
}

/// Finds the process id on this machine of the process `pid` in a host.
fn on_this_machine(leader: u32, pid: u32) -> u32 {
    let namespace = |pid: u32| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let inner = |outer: &u32| {
        let status = fs::read_to_string(format!("/proc/{outer}/status")).unwrap_or_default();
        let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
        numbers.split_whitespace().last()?.parse::<u32>().ok()
    };
    let mine = |outer: &u32| namespace(*outer) == namespace(leader) && inner(outer) == Some(pid);
    pids.into_iter().find(mine).expect("a process of the host")
}
