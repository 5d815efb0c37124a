//! The MCP server through its front door: JSON-RPC over the pipes of the real binary, a real broker with real keys, real
//! listeners, and hand-written peers where a host must misbehave.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;

mod admin;
mod arguments;
mod build;
mod codes;
mod crowd;
mod docs;
mod following;
mod hold;
mod input;
mod invisible;
mod leash;
mod link;
mod logs;
mod malformed;
mod older;
mod questions;
mod session;
mod signed;
mod stage;
