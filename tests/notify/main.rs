//! Tests of `notify` through the real binary: a real NATS server, real listeners, and a chat server that answers as each test says.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;

mod bodies;
mod chat_server;
mod config;
mod faults;
mod filters;
mod grouping;
mod hosts;
mod limits;
mod restarts;
mod secrets;
mod security;
mod stage;
mod test_messages;
