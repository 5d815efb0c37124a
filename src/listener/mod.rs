//! The listener: takes requests on its host, runs one job at a time, and tells everybody how it goes.

mod answer;
mod config;
mod delivery;
mod history;
mod hold;
mod inbox;
mod job;
mod key_expiry;
mod live_log;
mod log_answer;
mod manager;
mod metrics;
mod peers;
mod prover;
mod removal;
mod reporter;
mod requests;
mod service;

pub use config::{Config, ConfigError};
pub use peers::Peers;
pub use service::{ListenerError, run};
