//! A running container: systemd as its first process, in a separate control group.

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

/// The settings of a container, the same at each start.
pub(super) struct Plan {
    /// Its name on this machine.
    pub(super) machine: String,
    /// Its own hostname.
    pub(super) hostname: String,
    pub(super) bridge: String,
    /// This machine's end of its network cable.
    pub(super) port: String,
    /// The directory with `nix`, `boot` and `state`, which outlive the container.
    pub(super) disk: PathBuf,
    /// The directory with `lab`, the files for the host, and the console output.
    pub(super) dir: PathBuf,
    /// The parent of the container's control group.
    pub(super) cgroup: Cgroup,
    /// Additional files of this machine, with their paths in the container.
    pub(super) binds: Vec<(PathBuf, &'static str)>,
}

/// A container; killed when it is dropped.
pub(super) struct Machine {
    nspawn: Child,
    leader: u32,
    cgroup: Cgroup,
    port: String,
}

/// Starts in the container's group, because otherwise all containers share the group of this process. The separate
/// mount namespace removes the files of systemd-nspawn in `/run` if a container is killed.
const START: &str = r#"echo 0 >"$1" && shift && mount -t tmpfs tmpfs /run && exec "$@""#;

impl Machine {
    /// Boots and waits until systemd has started everything.
    pub(super) fn boot(plan: &Plan) -> Self {
        let cgroup = plan.cgroup.child(&plan.machine);
        let notify = plan.dir.join("notify");
        let _ = std::fs::remove_file(&notify);
        let socket = UnixDatagram::bind(&notify).unwrap();
        let console = File::create(plan.dir.join("console")).unwrap();
        let nspawn = Command::new("unshare")
            .args(["--mount", "sh", "-c", START, "sh"])
            .arg(cgroup.procs())
            .arg("systemd-nspawn")
            .args(plan.arguments())
            .env("NOTIFY_SOCKET", &notify)
            // The systemd in the tree supports only control groups of version 2; a machine with both would offer
            // version 1.
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

    /// The process id of its first process on this machine.
    pub(super) fn leader(&self) -> u32 {
        self.leader
    }

    /// Waits until the container has shut down; 133 means a reboot.
    pub(super) fn wait_for_exit(&mut self) -> ExitStatus {
        eventually("the host shutting down", || self.nspawn.try_wait().unwrap())
    }

    fn wait_until_ready(&mut self, socket: &UnixDatagram, plan: &Plan) {
        let started_at = Instant::now();
        let mut buffer = [0; 4096];
        // Between messages, the container is checked, because it may have ended without sending one.
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
            if ended.is_some() || started_at.elapsed() > DEADLINE {
                let console = std::fs::read_to_string(plan.dir.join("console")).unwrap_or_default();
                let took = started_at.elapsed();
                panic!("{} did not boot in {took:?}; systemd-nspawn {ended:?}:\n{console}", plan.hostname);
            }
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // The cable is removed first: a host without power closes no connections, but the kernel would. The host's end
        // of it exists as long as its last connections, and would block the name.
        let _ = tool("ip", &["link", "delete", &self.port]);
        // The lab finds and reports what is left.
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
        add("--bind-ro", &self.dir.join("lab"), ":/lab");
        add("--bind-ro", binary(), &format!(":{PROGRAM}"));
        for (from, to) in &self.binds {
            add("--bind", from, &format!(":{to}"));
        }
        arguments
    }
}
