//! A running container: systemd as its first process, in a control group of its own.

use super::cgroup::Cgroup;
use super::tree::tree;
use super::unit::PROGRAM;
use super::{memory, tool};
use crate::common::{DEADLINE, binary, eventually};
use std::ffi::OsString;
use std::fs::File;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Everything that a container is started with, each time the same.
pub(super) struct Plan {
    /// Its name to this machine.
    pub(super) machine: String,
    /// Its name to itself.
    pub(super) hostname: String,
    pub(super) bridge: String,
    /// This machine's end of its cable.
    pub(super) port: String,
    /// Holds `nix`, `boot` and `state`, which outlive the container.
    pub(super) disk: PathBuf,
    /// Holds `lab`, what the test tells the host, and what the container prints.
    pub(super) folder: PathBuf,
    /// The group above the container's own.
    pub(super) cgroup: Cgroup,
}

/// A container; killed with its owner.
pub(super) struct Machine {
    nspawn: Child,
    leader: u32,
    cgroup: Cgroup,
    port: String,
}

/// In the container's group from the start, or all containers share the one that this process is in. In a mount
/// namespace of its own, so that nothing of systemd-nspawn in `/run` outlives a container that is killed.
const START: &str = r#"echo 0 >"$1" && shift && mount -t tmpfs tmpfs /run && exec "$@""#;

impl Machine {
    /// Boots and waits until systemd has started everything.
    pub(super) fn boot(plan: &Plan) -> Self {
        let cgroup = plan.cgroup.child(&plan.machine);
        let notify = plan.folder.join("notify");
        let _ = std::fs::remove_file(&notify);
        let socket = UnixDatagram::bind(&notify).unwrap();
        let console = File::create(plan.folder.join("console")).unwrap();
        let nspawn = Command::new("unshare")
            .args(["--mount", "sh", "-c", START, "sh"])
            .arg(cgroup.procs())
            .arg("systemd-nspawn")
            .args(plan.arguments())
            .env("NOTIFY_SOCKET", &notify)
            // The tree's systemd knows only control groups of version 2; a machine with both would offer the first.
            .env("UNIFIED_CGROUP_HIERARCHY", "1")
            .stdin(Stdio::null())
            .stdout(console.try_clone().unwrap())
            .stderr(console)
            .spawn()
            .unwrap();
        let mut machine = Self { nspawn, leader: 0, cgroup, port: plan.port.clone() };
        machine.wait_until_ready(&socket, plan);
        machine
    }

    /// Its first process, as this machine counts them.
    pub(super) fn leader(&self) -> u32 {
        self.leader
    }

    /// Waits until it has shut down by itself; 133 stands for a reboot.
    pub(super) fn ended(&mut self) -> ExitStatus {
        eventually("the host shutting down", || self.nspawn.try_wait().unwrap())
    }

    fn wait_until_ready(&mut self, socket: &UnixDatagram, plan: &Plan) {
        let begun = Instant::now();
        let mut buffer = [0; 4096];
        // Between messages it is looked whether there is still somebody to send one.
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        loop {
            if let Ok(length) = socket.recv(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..length]);
                if let Some(pid) = text.lines().find_map(|line| line.strip_prefix("X_NSPAWN_LEADER_PID=")) {
                    self.leader = pid.parse().unwrap();
                }
                if text.lines().any(|line| line == "READY=1") {
                    return;
                }
            }
            let ended = self.nspawn.try_wait().unwrap();
            if ended.is_some() || begun.elapsed() > DEADLINE {
                let console = std::fs::read_to_string(plan.folder.join("console")).unwrap_or_default();
                let took = begun.elapsed();
                panic!("{} did not boot in {took:?}; systemd-nspawn {ended:?}:\n{console}", plan.hostname);
            }
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // First the cable: who loses power says goodbye to nobody, but the kernel here would. The end of it that the host
        // has lives on with its last connections, and its name would be taken.
        let _ = tool("ip", &["link", "delete", &self.port]);
        // What stays is found and told by the lab.
        let _ = self.cgroup.end_this();
        let _ = self.nspawn.kill();
        let _ = self.nspawn.wait();
        memory::release(self.port.trim_start_matches("vb-"));
    }
}

impl Plan {
    fn arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = [
            "--quiet",
            "--boot",
            "--volatile=overlay",
            "--register=no",
            "--keep-unit",
            "--notify-ready=yes",
            "--console=pipe",
            "--resolv-conf=off",
            "--timezone=off",
            "--link-journal=no",
        ]
        .map(OsString::from)
        .into();
        let mut add = |name: &str, value: &Path, at: &str| {
            let mut argument = OsString::from(name);
            argument.push("=");
            argument.push(value);
            argument.push(at);
            arguments.push(argument);
        };
        add("--directory", tree(), "");
        add("--machine", Path::new(&self.machine), "");
        add("--hostname", Path::new(&self.hostname), "");
        add("--network-bridge", Path::new(&self.bridge), "");
        add("--bind", &self.disk.join("nix"), ":/nix");
        add("--bind", &self.disk.join("boot"), ":/boot");
        add("--bind", &self.disk.join("state"), ":/var/lib/homelab-deploy");
        add("--bind-ro", &self.folder.join("lab"), ":/lab");
        add("--bind-ro", binary(), &format!(":{PROGRAM}"));
        arguments
    }
}
