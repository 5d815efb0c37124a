//! A host: what it keeps while it is off, and how it is switched on and off.

use super::disk::Disk;
use super::fault::{Hold, Point};
use super::flake::Flake;
use super::machine::{Machine, Plan};
use super::memory;
use super::net::Net;
use super::tool;
use super::tree::{guest, tree};
use super::unit::LISTENER;
use crate::common::Broker;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;

/// A host to be.
pub(crate) struct HostBuilder<'a> {
    pub(super) net: Arc<Net>,
    pub(super) broker: &'a Broker,
    pub(super) flake: &'a Flake,
    pub(super) name: &'a str,
    pub(super) index: u8,
    pub(super) disk: Option<u64>,
    pub(super) nats: bool,
}

/// A host with the closure that was on `main` when it was made.
pub(crate) struct Host {
    name: String,
    index: u8,
    machine: Option<Machine>,
    /// Unmounted after the machine has gone.
    disk: Option<Disk>,
    plan: Plan,
    /// The bridge outlives its hosts.
    net: Arc<Net>,
}

impl HostBuilder<'_> {
    /// Gives the host a small disk of its own, in MiB.
    pub(crate) fn disk(mut self, mib: u64) -> Self {
        self.disk = Some(mib);
        self
    }

    /// Gives the host the NATS server of this machine, which [`super::Closure::nats_server`] runs.
    pub(crate) fn nats_server(mut self) -> Self {
        self.nats = true;
        self
    }

    /// Boots it and waits until systemd has started everything.
    pub(crate) fn boot(self) -> Host {
        let mut host = self.install();
        host.boot_again();
        host
    }

    /// Makes it and leaves it off.
    pub(crate) fn install(self) -> Host {
        let machine = self.net.machine(self.index);
        let folder = self.net.folder().join(&machine);
        let (lab, disk) = (folder.join("lab"), folder.join("disk"));
        for part in [lab.join("keys"), lab.join("gates"), disk.clone()] {
            fs::create_dir_all(part).unwrap();
        }
        let mounted = self.disk.map(|mib| Disk::mount(&disk, mib));
        for part in ["nix", "boot", "state"] {
            fs::create_dir(disk.join(part)).unwrap();
        }
        fs::copy(self.broker.key(self.name), lab.join("keys/host")).unwrap();
        fs::copy(self.broker.key("stranger"), lab.join("keys/stranger")).unwrap();
        fs::copy(guest("rebuild"), lab.join("rebuild")).unwrap();
        if self.nats {
            let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap());
            let find =
                |folder: &str| Some(PathBuf::from(folder).join("nats-server")).filter(|file| file.exists());
            let program = path.split(':').find_map(find).expect("nats-server is installed");
            fs::copy(program, lab.join("nats-server")).unwrap();
            fs::write(lab.join("nats.conf"), self.broker.configuration()).unwrap();
        }
        fs::write(lab.join("address"), self.net.host_address(self.index)).unwrap();
        let flake = self.flake.folder();
        let script = guest("install");
        let [install, tree, on, from] = [&script, tree(), &disk, &flake].map(|path| path.to_str().unwrap());
        tool("unshare", &["--mount", install, tree, on, from, self.name]).unwrap();
        let plan = Plan {
            machine,
            hostname: self.name.to_owned(),
            bridge: self.net.bridge(),
            port: self.net.port(self.index),
            disk,
            folder,
            cgroup: self.net.cgroup().clone(),
        };
        let (name, index) = (self.name.to_owned(), self.index);
        Host { name, index, machine: None, disk: mounted, plan, net: self.net }
    }
}

impl Host {
    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Loses power: every process ends at once. What was written stays written, also without fsync.
    pub(crate) fn power_off(&mut self) {
        assert!(self.machine.take().is_some(), "{} was off", self.name);
    }

    /// Boots what the boot loader has for its default.
    pub(crate) fn boot_again(&mut self) {
        assert!(self.machine.is_none(), "{} was on", self.name);
        self.machine = Some(Machine::boot(&self.plan));
    }

    /// Waits until it reboots by itself, and lets it.
    pub(crate) fn reboots(&mut self) {
        let status = self.machine.as_mut().expect("the host is on").ended();
        assert_eq!(status.code(), Some(133), "{} did not end with a reboot", self.name);
        self.power_off();
        self.boot_again();
    }

    /// Pulls its plug: nobody answers it any more.
    pub(crate) fn cut(&self) {
        self.net.cut(self.index);
    }

    /// Plugs it in again.
    pub(crate) fn restore(&self) {
        self.net.restore(self.index);
    }

    /// Makes closures with [`super::Fault::HoldsAt`] wait here, as long as the hold lives.
    pub(crate) fn hold(&self, point: Point) -> Hold {
        Hold::new(&self.plan.folder.join("lab/gates"), point)
    }

    /// Puts a process of this host, as the host counts it, under a limit of memory, in MiB. What it starts from then on is
    /// under it too.
    pub(crate) fn limit_memory(&self, pid: u32, mib: u64) {
        memory::limit(&self.plan.machine, self.leader(), pid, mib);
    }

    /// Leaves only so much room on its disk, which must be one of its own.
    pub(crate) fn leave_room(&self, mib: u64) {
        self.disk.as_ref().expect("a disk of its own").leave(mib);
    }

    /// Gives the room back.
    pub(crate) fn make_room(&self) {
        self.disk.as_ref().expect("a disk of its own").relieve();
    }

    /// A path on its disk, as this machine sees it, on or off: below `nix`, `boot` or `state`.
    pub(crate) fn on_disk(&self, path: &str) -> PathBuf {
        self.plan.disk.join(path)
    }

    /// Puts a program into the host's `/lab`.
    pub(crate) fn lab_file(&self, name: &str, text: &str) {
        let path = self.plan.folder.join("lab").join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// What it can be known by on this machine: the lab's folder, the bridge, and its first process.
    pub(crate) fn traces(&self) -> String {
        format!("{} {} {}", self.net.folder().display(), self.plan.bridge, self.leader())
    }

    /// Its first process, as this machine counts them.
    pub(super) fn leader(&self) -> u32 {
        self.machine.as_ref().expect("the host is on").leader()
    }
}

impl Drop for Host {
    #[expect(clippy::print_stderr, reason = "what a failed test is understood by")]
    fn drop(&mut self) {
        if std::thread::panicking() && self.machine.is_some() {
            let journal = self.run(&format!("journalctl --no-pager -o short-precise -n 60 -u {LISTENER}"));
            eprintln!("--- {}: the listener's journal\n{}", self.name, journal.out);
        }
    }
}
