//! The builder: builds the hosts of listed repositories when asked to, and tells everybody how it goes.

mod admission;
mod build;
mod config;
mod config_file;
mod engine;
mod host;
mod inbox;
mod lane;
mod metrics;
mod order;
mod record;
mod report;
mod reporter;
mod requests;
mod service;
mod stage;
mod standing;
mod store;
mod verdicts;

pub use config::{Config, Repo, Rules};
pub use config_file::RulesError;
pub use engine::{Building, Engine, Listing};
pub use inbox::PING_SUBJECT;
pub use service::{BuilderError, run};
