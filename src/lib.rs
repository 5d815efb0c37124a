//! Deploy, watch and rescue a fleet of NixOS machines over NATS.
//!
//! Everything lives in this library; the binary only parses arguments and hands over. A module imports only from
//! the layers below its own: `protocol` at the bottom, then modules with one purpose, then `fleet` and `activation`,
//! then `listener`, `builder`, `deployer` and `flake_update`, then the user interfaces, then `cli`.

pub mod activation;
pub mod builder;
pub mod bus;
pub mod cli;
pub mod config;
pub mod demo;
pub mod deployer;
pub mod durable;
pub mod flake_update;
pub mod fleet;
pub mod jobs;
pub mod keys;
pub mod listener;
pub mod log_fold;
pub mod manager;
pub mod mcp;
pub mod metrics;
pub mod nix;
pub mod private;
pub mod protocol;
pub mod temporary;
pub mod tui;
pub mod unattended;
