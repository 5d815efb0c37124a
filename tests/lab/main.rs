//! Real systemd hosts on this machine, real nix, a real broker and a real git remote: the proof of what a deployment
//! does to a host. Needs root; `make lab` runs it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;
#[allow(dead_code, reason = "written for the tests of nix")]
#[path = "../nix/repository.rs"]
mod repository;
#[allow(dead_code, reason = "written for the tests of nix")]
#[path = "../nix/server.rs"]
mod server;

mod boot;
mod broker_away;
mod checks;
mod closures;
mod cut_off;
mod daemon;
mod disk_full;
mod faults;
mod harness;
mod killed;
mod leftovers;
mod limits;
mod operators;
mod outlived;
mod power;
mod removed;
mod replaced;
mod rollback;
mod stranded;
#[allow(dead_code, reason = "the tests of activation read another part of it")]
mod switch_table;
mod units;
