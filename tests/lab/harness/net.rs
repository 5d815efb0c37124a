//! The network of one lab: a bridge with a subnet that nobody else on this machine uses, and all that hangs on it.

use super::cgroup::Cgroup;
use super::tree::tree;
use super::{disk, tool};
use crate::common::runs;
use rustix::fs::FlockOperation;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bridges have this name and the number of the lab, so that the kernel itself gives each number once.
const BRIDGE: &str = "hdlab";
/// What the number's other belongings are called; also the first word of the bridge's alias, before the owner.
const NAME: &str = "homelab-deploy-lab";

/// The bridge of one lab. When it is dropped, all of the lab is gone.
pub(crate) struct Net {
    number: u8,
    folder: PathBuf,
    cgroup: Cgroup,
}

impl Net {
    /// A bridge of its own, after what killed runs left behind has been cleared away.
    pub(crate) fn new() -> Arc<Self> {
        assert!(rustix::process::geteuid().is_root(), "the lab needs root: run `make lab` as root");
        let lock = fs::File::open(tree()).unwrap();
        rustix::fs::flock(&lock, FlockOperation::LockExclusive).unwrap();
        sweep();
        let number = (0..=u8::MAX).find(|&number| claim(number)).expect("a free subnet in 10.231.0.0/16");
        clear(number).unwrap();
        let folder = folder(number);
        fs::create_dir(&folder).unwrap();
        Arc::new(Self { number, folder, cgroup: Cgroup::create(format!("{NAME}-{number}")) })
    }

    /// This machine's address on it.
    pub(crate) fn address(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 231, self.number, 1)
    }

    /// The address of the host with this index, with the length of its prefix.
    pub(super) fn host_address(&self, index: u8) -> String {
        format!("10.231.{}.{}/24", self.number, 10 + index)
    }

    /// The name under which the host with this index is known to this machine.
    pub(super) fn machine(&self, index: u8) -> String {
        format!("lab{}h{index}", self.number)
    }

    /// The bridge's name.
    pub(super) fn bridge(&self) -> String {
        format!("{BRIDGE}{}", self.number)
    }

    /// A folder that goes away with the lab.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The control group of everything that the lab runs.
    pub(super) fn cgroup(&self) -> &Cgroup {
        &self.cgroup
    }

    /// Pulls the plug of a host, behind the switch: the host itself sees no change, but nobody answers it.
    pub(super) fn cut(&self, index: u8) {
        tool("ip", &["link", "set", &self.port(index), "nomaster"]).unwrap();
    }

    /// Plugs it in again.
    pub(super) fn restore(&self, index: u8) {
        tool("ip", &["link", "set", &self.port(index), "master", &self.bridge()]).unwrap();
    }

    /// Where its cable ends, as systemd-nspawn names it.
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

/// Makes the bridge of a number, unless it is taken or its subnet is in use.
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

/// Ends what belongs to processes that are no more.
fn sweep() {
    for (name, number) in interfaces(BRIDGE) {
        let alias = fs::read_to_string(format!("/sys/class/net/{name}/ifalias")).unwrap_or_default();
        let owner = alias.trim().strip_prefix(NAME).and_then(|pid| pid.trim().parse().ok());
        if let (Ok(number), Some(owner)) = (number.parse(), owner)
            && !runs(owner)
        {
            clear(number).and_then(|()| remove(&name)).unwrap();
        }
    }
}

/// The network interfaces whose names begin so, with the rest of their names.
fn interfaces(prefix: &str) -> Vec<(String, String)> {
    let entries = fs::read_dir("/sys/class/net").unwrap();
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter_map(|name| Some((name.clone(), name.strip_prefix(prefix)?.to_owned()))).collect()
}

/// Removes an interface, which may just be going by itself.
fn remove(interface: &str) -> Result<(), String> {
    let removed = tool("ip", &["link", "delete", interface]);
    if Path::new("/sys/class/net").join(interface).exists() { removed.map(drop) } else { Ok(()) }
}

fn folder(number: u8) -> PathBuf {
    std::env::temp_dir().join(format!("{NAME}-{number}"))
}

/// Ends everything that goes by a number, except the bridge.
fn clear(number: u8) -> Result<(), String> {
    Cgroup::end(&format!("{NAME}-{number}"))?;
    for (port, _) in interfaces(&format!("vb-lab{number}h")) {
        remove(&port)?;
    }
    let folder = folder(number);
    disk::unmount_below(&folder)?;
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("{}: {error}", folder.display()))
        }
        _ => Ok(()),
    }
}
