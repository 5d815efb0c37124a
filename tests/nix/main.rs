//! Tests with real nix and git: pinning flakes from real remotes, building them, profiles, closures and roots in a real store,
//! and nix's message stream.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a helper of a test fails by panicking too")]

#[path = "../common/mod.rs"]
mod common;

mod build;
mod closure;
mod command_lines;
mod commits;
mod credentials;
mod credentials_file;
mod deploy;
mod flake_config;
mod flake_url;
mod hosts;
mod own_store;
mod profile;
mod progress;
mod repository;
mod resolve;
mod roots;
mod server;
mod signers;
mod stopped;
mod store;
mod system;
mod unfetched;
mod units;
mod unreachable;
