//! `flake-update`, with real git remotes, a real nix, and a forge that answers as it is told.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;

mod forge;
mod stage;
mod updated;
