//! The operator's side through the front door: the real binary, a real broker, real listeners, and hand-written peers
//! where a host must misbehave.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;

mod allow_older;
mod base_listener;
mod build;
mod build_first;
mod cancel;
mod clocks;
mod completions;
mod config_check;
mod config_file;
mod config_for_all;
mod config_show;
mod configured;
mod contexts;
mod crowd;
mod diff;
mod exits;
mod expected;
mod flakes;
mod fleet;
mod fleet_bounds;
mod flooded;
mod help;
mod history;
mod hold;
mod hostile;
mod hosts;
mod hosts_watch;
mod json;
mod key_rotation;
mod live;
mod log;
mod log_join;
mod log_losses;
mod logs;
mod losses;
mod malformed;
mod outdated;
mod output;
mod pinned;
mod presence;
mod proven;
mod questions;
mod reboot;
mod rollback;
mod rollout;
mod roster;
mod roster_bounds;
mod signed;
mod status;
mod targets;
mod twins;
mod unattended;
mod usage;
mod waves;
