//! Tests of the MCP server through its public interface: JSON-RPC over the pipes of the real binary, a real NATS server
//! with real keys, real listeners, and fake peers for misbehaving hosts.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;

mod admin;
mod arguments;
mod build;
mod confirmation_codes;
mod connection;
mod docs;
mod follow;
mod harness;
mod hold;
mod input;
mod invisible;
mod logs;
mod malformed;
mod many_hosts;
mod older_commits;
mod queries;
mod services;
mod session;
mod signed;
mod tier_limit;
