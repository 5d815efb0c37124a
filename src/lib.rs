//! Deploys, watches and rescues a fleet of NixOS hosts over NATS.
//!
//! The library contains all of the code; the binary only calls it. A module imports only from lower layers: `protocol`
//! at the bottom, then modules with one purpose, then `nix`, then `fleet`, `activation` and `service`, then `listener`,
//! `builder`, `client` and `flake_update`, then the user interfaces, then `cli`.
//!
//! See ARCHITECTURE.md, "Processes", "Life of a deployment" and "Layers".

pub mod activation;
pub mod atomic_file;
pub mod blocking;
pub mod builder;
pub mod cli;
pub mod client;
pub mod clock;
pub mod compose;
pub mod config;
pub mod demo;
pub mod flake_update;
pub mod fleet;
pub mod git;
pub mod http_client;
pub mod jobs;
pub mod keys;
pub mod listener;
pub mod log_throttle;
pub mod mcp;
pub mod metrics;
pub mod nats;
pub mod nix;
pub mod notify;
pub mod ordered;
pub mod private_file;
pub mod protocol;
pub mod sandbox;
pub mod sd_notify;
pub mod service;
pub mod state_dir;
pub mod text;
pub mod tui;
pub mod unattended;
