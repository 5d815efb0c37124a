//! The harness: a real broker with real keys and the generated permissions, real listeners, the real binary. Every
//! part ends with its owner, uses free ports and temporary folders, and waits for events with a deadline.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "each test binary uses its own part of the harness"
)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a harness that cannot go on fails its test")]

mod broker;
mod builder;
mod followed;
mod gate;
mod gateway;
mod host;
mod malformed;
pub mod page;
mod peer;
mod redact;
mod repo;
mod running;
mod signer;
mod small_disk;
mod terminal;
mod tty;
mod wire;

pub use broker::{Broker, HOSTS};
pub use builder::{Builder, build_report};
pub use followed::Followed;
pub use gate::{Gate, WAIT, held_in};
pub use gateway::Gateway;
pub use host::{Host, HostBuilder};
pub use malformed::{Malformed, MalformedStream};
pub use peer::{Peer, base_answer, base_report};
pub use redact::redacted;
pub use repo::Repo;
pub use running::{Ended, Running, run};
pub use signer::Signer;
pub use small_disk::SmallDisk;
pub use terminal::{Screen, Terminal, lines};
pub use tty::Tty;
pub use wire::{Ears, Heard, Vouching, Wire};

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// How long any single event may take; far longer than it ever should.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// The programs of nix that work on something with this name.
pub fn nix_at_work(on: &str) -> Vec<u32> {
    processes(|line| line.starts_with("nix\0") && line.contains(on))
}

/// The processes whose command line, with a NUL after each argument, is wanted.
pub fn processes(wanted: impl Fn(&str) -> bool) -> Vec<u32> {
    let all = std::fs::read_dir("/proc").unwrap();
    let all = all.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    let line = |pid: &u32| std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    all.filter(|pid| wanted(&String::from_utf8_lossy(&line(pid)))).collect()
}

/// The binary under test.
pub fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_homelab-deploy"))
}

/// The binary as an operator calls it, with the key of `operator`, a roster of its own and no configuration file.
pub fn operator(broker: &Broker, operator: &str) -> Command {
    let mut command = Command::new(binary());
    command
        .env("HOMELAB_DEPLOY_NATS_URL", broker.url())
        .env("HOMELAB_DEPLOY_NKEY_FILE", broker.key(operator))
        .env("XDG_STATE_HOME", broker.folder().join("xdg").join(operator))
        .env("XDG_CONFIG_HOME", broker.folder().join("config").join(operator))
        .env_remove("HOMELAB_DEPLOY_CONTEXT")
        .env_remove("HOMELAB_DEPLOY_BRANCH")
        // The hosts that tests play do not sign, as those of the older tool.
        .env("HOMELAB_DEPLOY_UNPROVEN", "allow")
        .env("USER", operator)
        .env_remove("NO_COLOR")
        .stdin(std::process::Stdio::null());
    command
}

/// Whether a process runs; one that is only left to be collected does not.
pub fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['Z', 'X']))
}

/// Waits until `ready` gives something, looking again every few milliseconds; for things outside our process that
/// tell of themselves only by being there.
pub fn eventually<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = ready() {
            return value;
        }
        // Only what never happens takes so long, also on a busy machine.
        assert!(begun.elapsed() < 2 * DEADLINE, "{what} did not happen within {:?}", 2 * DEADLINE);
        std::thread::park_timeout(Duration::from_millis(5));
    }
}
