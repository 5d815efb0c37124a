//! Credentials: seed files, the fleet file, and permissions as a real NATS server enforces them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;

mod enforcement;
mod expiry;
mod fixture;
mod invalid_fleet_files;
mod nats_config;
mod permissions;
mod raw_client;
mod rotation;
mod server;
mod user_seeds;
