//! The activation pipeline without systemd: real nix, a real NATS server, a listener and its worker, and a scripted
//! `switch-to-configuration`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;
#[allow(dead_code, reason = "the lab uses another part of it")]
#[path = "../lab/switch_table.rs"]
mod switch_table;

mod actions;
mod checks;
mod commands;
mod commits;
mod confirmation;
mod crashes;
mod damaged_caches;
mod fake_switch;
mod fault_run;
mod faults;
mod logs;
mod peers;
mod recovery;
mod refusals;
mod rollback_faults;
mod rollbacks;
mod sources;
mod stage;
mod starting;
mod switch_results;
