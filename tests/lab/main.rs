//! Deployments to real systemd hosts on this machine, with real nix, a real NATS server and a real git remote. Needs root;
//! `make lab` runs it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;
#[allow(dead_code, reason = "written for the tests of Docker Compose hosts")]
#[path = "../compose/daemon.rs"]
mod docker_daemon;
#[allow(dead_code, reason = "written for the tests of the modules")]
#[path = "../nixos/evaluate.rs"]
mod evaluate;
#[allow(dead_code, reason = "written for the tests of nix")]
#[path = "../nix/repository.rs"]
mod repository;
#[allow(dead_code, reason = "written for the tests of nix")]
#[path = "../nix/server.rs"]
mod server;

mod boot;
mod checks;
mod closures;
mod compose;
mod cut_off;
mod daemon;
mod disk_full;
mod external_command;
mod faults;
mod harness;
mod killed;
mod leftovers;
mod limits;
mod nats_outage;
mod operators;
mod power;
mod removed;
mod replaced;
mod rollback;
mod stranded;
#[allow(dead_code, reason = "the tests of activation use another part of it")]
mod switch_table;
mod units;
