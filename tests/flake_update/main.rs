//! Tests of `flake-update` with real git remotes, real nix, and a fake forge.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;

mod bad_input;
#[allow(dead_code, reason = "shared with the tests of NATS")]
#[path = "../nats/certificates.rs"]
mod certificates;
mod command_lines;
mod daemon;
mod directory;
mod failed;
mod forge;
mod forge_faults;
mod github;
mod interrupted;
mod notify;
mod race;
mod rerun;
mod sandbox;
mod schema;
#[allow(dead_code, reason = "shared with the tests of nix")]
#[path = "../nix/server.rs"]
mod server;
mod stage;
mod token;
mod updated;
