//! A host: its data while it is off, and how it is switched on and off.

use super::disk::Disk;
use super::fault::{Hold, Point};
use super::flake::Flake;
use super::machine::{Machine, Plan};
use super::memory;
use super::net::Net;
use super::tool;
use super::tree::{guest, tree};
use super::unit::LISTENER;
use crate::common::NatsServer;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A host that is not installed yet.
pub(crate) struct HostBuilder<'a> {
    pub(super) net: Arc<Net>,
    pub(super) nats: &'a NatsServer,
    pub(super) flake: &'a Flake,
    pub(super) name: &'a str,
    pub(super) index: u8,
    pub(super) disk: Option<u64>,
    pub(super) runs_nats: bool,
    pub(super) binds: Vec<(PathBuf, &'static str)>,
}

/// A host. It starts with the closure that was on `main` when it was installed.
pub(crate) struct Host {
    name: String,
    index: u8,
    machine: Option<Machine>,
    // Unmounted after the machine has ended.
    disk: Option<Disk>,
    plan: Plan,
    // The bridge outlives its hosts.
    net: Arc<Net>,
}

impl HostBuilder<'_> {
    /// Gives the host its own small disk, with a size in MiB.
    pub(crate) fn disk(mut self, mib: u64) -> Self {
        self.disk = Some(mib);
        self
    }

    /// Gives the host the NATS server of this machine, which [`super::Closure::nats_server`] runs.
    pub(crate) fn nats_server(mut self) -> Self {
        self.runs_nats = true;
        self
    }

    /// Gives the host a file or a directory of this machine, at this path.
    pub(crate) fn bind(mut self, from: &Path, to: &'static str) -> Self {
        self.binds.push((from.to_owned(), to));
        self
    }

    /// Boots the host and waits until systemd has started everything.
    pub(crate) fn boot(self) -> Host {
        let mut host = self.install();
        host.boot_again();
        host
    }

    /// Installs the host without booting it.
    pub(crate) fn install(self) -> Host {
        let machine = self.net.machine(self.index);
        let dir = self.net.dir().join(&machine);
        let (lab, disk) = (dir.join("lab"), dir.join("disk"));
        for part in [lab.join("keys"), lab.join("gates"), disk.clone()] {
            fs::create_dir_all(part).unwrap();
        }
        let mounted = self.disk.map(|mib| Disk::mount(&disk, mib));
        for part in ["nix", "boot", "state"] {
            fs::create_dir(disk.join(part)).unwrap();
        }
        fs::copy(self.nats.key(self.name), lab.join("keys/host")).unwrap();
        fs::copy(self.nats.key("stranger"), lab.join("keys/stranger")).unwrap();
        fs::copy(guest("rebuild"), lab.join("rebuild")).unwrap();
        if self.runs_nats {
            let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap());
            let find = |dir: &str| Some(PathBuf::from(dir).join("nats-server")).filter(|file| file.exists());
            let program = path.split(':').find_map(find).expect("nats-server is installed");
            fs::copy(program, lab.join("nats-server")).unwrap();
            fs::write(lab.join("nats.conf"), self.nats.config_text()).unwrap();
        }
        fs::write(lab.join("address"), self.net.host_address(self.index)).unwrap();
        let flake = self.flake.dir();
        let script = guest("install");
        let [install, tree, on, from] = [&script, tree(), &disk, &flake].map(|path| path.to_str().unwrap());
        tool("unshare", &["--mount", install, tree, on, from, self.name]).unwrap();
        let plan = Plan {
            machine,
            hostname: self.name.to_owned(),
            bridge: self.net.bridge(),
            port: self.net.port(self.index),
            disk,
            dir,
            cgroup: self.net.cgroup().clone(),
            binds: self.binds,
        };
        let (name, index) = (self.name.to_owned(), self.index);
        Host { name, index, machine: None, disk: mounted, plan, net: self.net }
    }
}

impl Host {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Cuts the power: every process ends immediately. Written data stays written, even without fsync.
    pub(crate) fn power_off(&mut self) {
        assert!(self.machine.take().is_some(), "{} was off", self.name);
    }

    /// Boots the default of the boot loader.
    pub(crate) fn boot_again(&mut self) {
        assert!(self.machine.is_none(), "{} was on", self.name);
        self.machine = Some(Machine::boot(&self.plan));
    }

    /// Waits until the host reboots, and boots it again.
    pub(crate) fn reboots(&mut self) {
        let status = self.machine.as_mut().expect("the host is on").wait_for_exit();
        assert_eq!(status.code(), Some(133), "{} did not end with a reboot", self.name);
        self.power_off();
        self.boot_again();
    }

    /// Disconnects the host: no machine answers it.
    pub(crate) fn cut(&self) {
        self.net.cut(self.index);
    }

    /// Reconnects the host.
    pub(crate) fn restore(&self) {
        self.net.restore(self.index);
    }

    /// Makes closures with [`super::Fault::HoldsAt`] wait at a point while the hold exists.
    pub(crate) fn hold(&self, point: Point) -> Hold {
        Hold::new(&self.plan.dir.join("lab/gates"), point)
    }

    /// Limits the memory of a process and of what it starts later, in MiB. `pid` is the id inside the host.
    pub(crate) fn limit_memory(&self, pid: u32, mib: u64) {
        memory::limit(&self.plan.machine, self.leader(), pid, mib);
    }

    /// Leaves only this much space on the host's own disk, in MiB.
    pub(crate) fn leave_free(&self, mib: u64) {
        self.disk.as_ref().expect("a separate disk").leave_free(mib);
    }

    /// Frees all space again.
    pub(crate) fn free_disk(&self) {
        self.disk.as_ref().expect("a separate disk").free();
    }

    /// Returns the path of a file below `nix`, `boot` or `state`, as seen from this machine, with the host on or off.
    pub(crate) fn on_disk(&self, path: &str) -> PathBuf {
        self.plan.disk.join(path)
    }

    /// Adds a program to the host's `/lab`.
    pub(crate) fn lab_file(&self, name: &str, text: &str) {
        let path = self.plan.dir.join("lab").join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// The host's traces on this machine: the lab's directory, the bridge, and the first process.
    pub(crate) fn traces(&self) -> String {
        format!("{} {} {}", self.net.dir().display(), self.plan.bridge, self.leader())
    }

    /// The process id of the host's first process on this machine.
    pub(super) fn leader(&self) -> u32 {
        self.machine.as_ref().expect("the host is on").leader()
    }
}

impl Drop for Host {
    #[expect(clippy::print_stderr, reason = "the journal explains why a test failed")]
    fn drop(&mut self) {
        if std::thread::panicking() && self.machine.is_some() {
            let journal = self.run(&format!("journalctl --no-pager -o short-precise -n 60 -u {LISTENER}"));
            eprintln!("--- {}: the listener's journal\n{}", self.name, journal.stdout);
        }
    }
}
