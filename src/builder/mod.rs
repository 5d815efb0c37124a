//! The builder: builds the hosts of configured repositories on request and reports progress to operators.
//!
//! See ARCHITECTURE.md, "The builder".

mod admission;
mod build;
mod config;
mod engine;
mod host_build;
mod metrics;
mod queue;
mod record;
mod reporter;
mod requests;
mod service;
mod state;
mod store;
mod subscriptions;

pub use config::{BuildRules, BuildRulesError, BuilderConfig, Repo};
pub use engine::{BuildEngine, BuildFuture, HostsFuture};
pub use service::run;
pub use subscriptions::PING_SUBJECT;
