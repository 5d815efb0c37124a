//! `flake-update`, with real git remotes, a real nix, and a forge that answers as it is told.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;

mod again;
mod bad_input;
#[allow(dead_code, reason = "written for the tests of the server")]
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
mod sandbox;
mod schema;
#[allow(dead_code, reason = "written for the tests of nix")]
#[path = "../nix/server.rs"]
mod server;
mod stage;
mod token;
mod updated;
