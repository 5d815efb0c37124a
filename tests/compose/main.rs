//! Docker Compose hosts: a real docker daemon, the real Docker Compose, and the real listener. Needs root; `make test-compose` installs
//! what is missing.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;
#[allow(dead_code, reason = "written for the tests of the MCP server")]
#[path = "../mcp/harness.rs"]
mod mcp_session;

mod actions;
mod adopted;
mod connection;
#[allow(dead_code, reason = "the lab uses another part of it")]
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
mod views;
