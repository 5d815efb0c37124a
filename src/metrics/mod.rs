//! What is measured on this host: counts that survive restarts, and the page that Prometheus reads.
//!
//! Every number here must be brought back after a restart, which the metrics of the `prometheus` crate cannot be. Of that crate
//! only its text format would be left, and that is shorter to write than to feed.

mod address;
mod builds;
mod connection_limit;
mod counts;
mod histogram;
mod kept;
mod page;
mod recent;
mod registry;
mod series;
mod server;

pub use address::{Address, AddressError};
pub use builds::{Builds, BuiltHost};
pub use page::Page;
pub use recent::Recent;
pub use registry::Registry;
pub use server::{Source, serve};
