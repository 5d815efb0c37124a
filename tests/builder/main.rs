//! The builder through its front door: the real binary, a real broker with the generated permissions, real git
//! repositories, real nix with a store of its own, and operators that speak plain JSON.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;

#[allow(dead_code, reason = "the client of the tests of MCP, of which this is a part")]
#[path = "../mcp/stage.rs"]
mod assistant;

mod after;
mod config;
mod hosts;
mod limits;
mod malformed;
mod operators;
mod order;
mod refused;
mod restarts;
mod sandbox;
mod stage;
mod trusted;
mod watched;
