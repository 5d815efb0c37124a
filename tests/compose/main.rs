//! Docker Compose hosts: a real docker daemon, the real Docker Compose, and the real listener. Needs root; `make test-compose` installs
//! what is missing.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;

mod actions;
mod adopted;
mod connection;
mod daemon;
mod deploy;
mod disk_full;
mod docker;
mod images;
mod killed;
mod operators;
mod reboot;
mod refused;
mod rollback;
mod stage;
