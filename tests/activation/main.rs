//! The activation pipeline without systemd: real nix, a real broker, a listener and its activation program, and a
//! `switch-to-configuration` that does what the test says.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;
#[allow(dead_code, reason = "the lab reads another part of it")]
#[path = "../lab/switch_table.rs"]
mod switch_table;

mod checks;
mod commands;
mod commits;
mod damaged_caches;
mod deaths;
mod fault_run;
mod faults;
mod judged;
mod logs;
mod peers;
mod proof;
mod refused;
mod resumed;
mod roads;
mod rollbacks;
mod sources;
mod stage;
mod stand_in;
mod starting;
mod way_back;
