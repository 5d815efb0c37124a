//! The listener: receives requests on its host, runs one job at a time, and reports its progress.
//!
//! See ARCHITECTURE.md, "The listener".

mod config;
mod confirmer;
mod history;
mod hold;
mod job;
mod live_log;
mod log_reply;
mod metrics;
mod peers;
mod removal;
mod reply;
mod reporter;
mod requests;
mod result_recorder;
mod service;
mod subscriptions;

pub use config::{ListenerConfig, ListenerConfigError};
pub use peers::ConfirmPeers;
pub use service::run;
