//! Flakes are pinned to one commit against real remotes; streams of nix are read.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails by panicking too")]

mod credentials;
mod flake_url;
mod progress;
mod remote_away;
mod repository;
mod resolve;
mod server;
