//! Tests of the builder through its public interface: the real binary, a real NATS server with the generated
//! permissions, real git repositories, real nix with a separate store, and operators that send plain JSON.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;

#[allow(dead_code, reason = "the client of the MCP tests, of which only a part is used here")]
#[path = "../mcp/harness.rs"]
mod assistant;

mod config;
mod connection;
mod hosts;
mod limits;
mod malformed;
mod monitoring;
mod operators;
mod post_build;
mod queue;
mod rejected;
mod restarts;
mod sandbox;
mod stage;
mod trusted_keys;
