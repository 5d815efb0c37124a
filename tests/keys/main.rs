//! Credentials: seeds on disk, the fleet file, and permissions as a real NATS server enforces them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;

mod bad_files;
mod enforcement;
mod expiry;
mod fixture;
mod line;
mod nats_config;
mod rotation;
mod rows;
mod seeds;
mod server;
