//! The harness of the lab. Every lab has its own bridge, subnet, NATS server, git remote and control group. Dropping a
//! lab ends and unmounts everything it started or mounted, even if a test panics.
#![allow(
    dead_code,
    unused_imports,
    reason = "the tests of the pipeline and of the harness use different parts"
)]

mod cgroup;
mod closure;
mod disk;
mod fault;
mod flake;
mod host;
mod inside;
mod lab;
mod machine;
mod memory;
mod net;
mod tree;
mod unit;

pub(crate) use closure::{Closure, Site};
pub(crate) use fault::{Fault, Hold, Point, STATE_FILLER, UNLOCK, WAITING_CHECK};
pub(crate) use flake::Flake;
pub(crate) use host::{Host, HostBuilder};
pub(crate) use inside::Unit;
pub(crate) use lab::Lab;
pub(crate) use memory::can_limit;
pub(crate) use net::Net;
pub(crate) use unit::LISTENER;

use std::process::Command;

/// Runs a program of this machine; returns its output or its error output.
fn tool(program: &str, args: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(args).output().map_err(|error| format!("{program}: {error}"))?;
    let text = |bytes| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(format!("{program} {}: {}", args.join(" "), text(&output.stderr)))
    }
}
