//! The network of one lab: a bridge with a subnet that is otherwise unused on this machine, and the resources of the
//! lab.

use super::cgroup::Cgroup;
use super::tree::tree;
use super::{disk, tool};
use crate::common::is_running;
use rustix::fs::FlockOperation;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Prefix of bridge names, followed by the number of the lab. The kernel ensures that each name is unique.
const BRIDGE: &str = "hdlab";
/// Prefix of the lab's other names; also the first word of the bridge's alias, before the owner's process id.
const NAME: &str = "homelab-deploy-lab";

/// The bridge of one lab. Dropping it removes everything of the lab.
pub(crate) struct Net {
    number: u8,
    dir: PathBuf,
    cgroup: Cgroup,
}

impl Net {
    /// Creates a bridge, after removing what killed runs left behind.
    pub(crate) fn new() -> Arc<Self> {
        assert!(rustix::process::geteuid().is_root(), "the lab needs root: run `make lab` as root");
        let lock = fs::File::open(tree()).unwrap();
        rustix::fs::flock(&lock, FlockOperation::LockExclusive).unwrap();
        sweep();
        let number = (0..=u8::MAX).find(|&number| claim(number)).expect("a free subnet in 10.231.0.0/16");
        clear(number).unwrap();
        let dir = dir(number);
        fs::create_dir(&dir).unwrap();
        Arc::new(Self { number, dir, cgroup: Cgroup::create(format!("{NAME}-{number}")) })
    }

    /// This machine's address on the bridge.
    pub(crate) fn address(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 231, self.number, 1)
    }

    /// The address of the host with this index, with its prefix length.
    pub(super) fn host_address(&self, index: u8) -> String {
        format!("10.231.{}.{}/24", self.number, 10 + index)
    }

    /// The name on this machine of the host with this index.
    pub(super) fn machine(&self, index: u8) -> String {
        format!("lab{}h{index}", self.number)
    }

    /// The bridge's name.
    pub(super) fn bridge(&self) -> String {
        format!("{BRIDGE}{}", self.number)
    }

    /// A directory that is removed with the lab.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The control group of everything that the lab runs.
    pub(super) fn cgroup(&self) -> &Cgroup {
        &self.cgroup
    }

    /// Disconnects a host behind the switch: its own link stays up, but no machine answers it.
    pub(super) fn cut(&self, index: u8) {
        tool("ip", &["link", "set", &self.port(index), "nomaster"]).unwrap();
    }

    /// Reconnects a host.
    pub(super) fn restore(&self, index: u8) {
        tool("ip", &["link", "set", &self.port(index), "master", &self.bridge()]).unwrap();
    }

    /// The interface at the other end of a host's cable, as systemd-nspawn names it.
    pub(super) fn port(&self, index: u8) -> String {
        format!("vb-{}", self.machine(index))
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        let cleared = clear(self.number).and_then(|()| remove(&self.bridge()));
        if let Err(left) = cleared {
            assert!(std::thread::panicking(), "the lab left something behind: {left}");
        }
    }
}

/// Creates the bridge of a number, unless it exists or its subnet is in use.
fn claim(number: u8) -> bool {
    let bridge = &format!("{BRIDGE}{number}");
    let subnet = &format!("10.231.{number}.0/24");
    let used = |args: &[&str]| tool("ip", args).is_ok_and(|found| !found.is_empty());
    if used(&["-4", "-oneline", "address", "show", "to", subnet])
        || used(&["route", "show", "to", "exact", subnet])
    {
        return false;
    }
    if tool("ip", &["link", "add", bridge, "type", "bridge"]).is_err() {
        return false;
    }
    let owner = &format!("{NAME} {}", std::process::id());
    tool("ip", &["link", "set", bridge, "alias", owner]).unwrap();
    tool("ip", &["address", "add", &format!("10.231.{number}.1/24"), "dev", bridge]).unwrap();
    tool("ip", &["link", "set", bridge, "up"]).unwrap();
    true
}

/// Removes the labs of processes that have ended.
fn sweep() {
    for (name, number) in interfaces(BRIDGE) {
        let alias = fs::read_to_string(format!("/sys/class/net/{name}/ifalias")).unwrap_or_default();
        let owner = alias.trim().strip_prefix(NAME).and_then(|pid| pid.trim().parse().ok());
        if let (Ok(number), Some(owner)) = (number.parse(), owner)
            && !is_running(owner)
        {
            clear(number).and_then(|()| remove(&name)).unwrap();
        }
    }
}

/// Returns the network interfaces with this prefix, without the prefix.
fn interfaces(prefix: &str) -> Vec<(String, String)> {
    let entries = fs::read_dir("/sys/class/net").unwrap();
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter_map(|name| Some((name.clone(), name.strip_prefix(prefix)?.to_owned()))).collect()
}

/// Removes an interface, which the kernel may be removing already.
fn remove(interface: &str) -> Result<(), String> {
    let removed = tool("ip", &["link", "delete", interface]);
    if Path::new("/sys/class/net").join(interface).exists() { removed.map(drop) } else { Ok(()) }
}

fn dir(number: u8) -> PathBuf {
    std::env::temp_dir().join(format!("{NAME}-{number}"))
}

/// Ends everything of a lab except its bridge.
fn clear(number: u8) -> Result<(), String> {
    Cgroup::end(&format!("{NAME}-{number}"))?;
    for (port, _) in interfaces(&format!("vb-lab{number}h")) {
        remove(&port)?;
    }
    let dir = dir(number);
    disk::unmount_below(&dir)?;
    match fs::remove_dir_all(&dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("{}: {error}", dir.display()))
        }
        _ => Ok(()),
    }
}
