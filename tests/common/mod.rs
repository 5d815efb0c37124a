//! The test harness: a real NATS server with real keys and the generated permissions, real listeners and the real
//! binary. Everything stops when it is dropped, uses free ports and temporary directories, and waits for events with a
//! deadline.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "each test binary uses a different part of the harness"
)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "an error in the harness fails the test")]

mod base_operator;
mod command;
mod fake_builder;
mod fake_listener;
mod gate;
mod host;
mod log_follower;
mod malformed_client;
pub mod metrics_page;
mod nats_server;
mod processes;
mod raw_client;
mod redact;
mod repo;
mod service_manager;
mod signer;
mod small_disk;
mod tcp_proxy;
mod terminal;
mod test_dir;
mod tty;

pub use base_operator::deploy_as_base_operator;
pub use command::{CommandOutput, RunningCommand, run};
pub use fake_builder::{FakeBuilder, build_report};
pub use fake_listener::{FakeListener, base_presence, base_report};
pub use gate::{Gate, WAIT, hold_in_phase};
pub use host::{Host, HostBuilder};
pub use log_follower::FollowedLog;
pub use malformed_client::{MalformedClient, MalformedStream};
pub use nats_server::{HOSTS, NatsServer};
pub use processes::{is_running, kill_tree, kill_tree_of, kill_users, nix_processes, processes};
pub use raw_client::{PeerConfirmations, RawClient, RawMessage, RawSubscription};
pub use redact::redacted;
pub use repo::{Repo, SigningKey};
pub use service_manager::ServiceManager;
pub use signer::Signer;
pub use small_disk::SmallDisk;
pub use tcp_proxy::TcpProxy;
pub use terminal::{Screen, Terminal, lines};
pub use test_dir::TestDir;
pub use tty::Tty;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// The maximum time for a single event; far longer than any should take.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// The path of the binary under test.
pub fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_homelab-deploy"))
}

/// A command of an operator, with the key of `operator`, its own inventory and no configuration file.
pub fn operator(nats: &NatsServer, operator: &str) -> Command {
    let mut command = Command::new(binary());
    command
        .env("HOMELAB_DEPLOY_NATS_URL", nats.url())
        .env("HOMELAB_DEPLOY_NKEY_FILE", nats.key(operator))
        .env("XDG_STATE_HOME", nats.dir().join("xdg").join(operator))
        .env("XDG_CACHE_HOME", nats.dir().join("cache").join(operator))
        .env("XDG_CONFIG_HOME", nats.dir().join("config").join(operator))
        .env_remove("HOMELAB_DEPLOY_CONTEXT")
        .env_remove("HOMELAB_DEPLOY_BRANCH")
        // The hosts that tests simulate do not sign their messages, like those of the older tool.
        .env("HOMELAB_DEPLOY_UNPROVEN", "allow")
        .env("USER", operator)
        .env_remove("NO_COLOR")
        .stdin(std::process::Stdio::null());
    command
}

/// Polls every few milliseconds until `ready` returns a value; for external state that sends no event.
pub fn eventually<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = ready() {
            return value;
        }
        // The limit is generous even for a busy machine.
        assert!(started.elapsed() < 2 * DEADLINE, "{what} did not happen within {:?}", 2 * DEADLINE);
        std::thread::park_timeout(Duration::from_millis(5));
    }
}
