//! Metrics of the services: counts that survive restarts, and the page for Prometheus.
//!
//! See ARCHITECTURE.md, "The listener".

mod address;
mod build_metrics;
mod connection_limit;
mod families;
mod job_metrics;
mod labels;
mod persisted;
mod server;
mod service_metrics;

pub use address::{Address, AddressError};
pub use build_metrics::{BuildMetrics, BuiltHost};
pub use job_metrics::JobMetrics;
pub use server::MetricsServer;
pub use service_metrics::ServiceMetrics;
