//! A private fleet to try things on. Nothing of it outlives the process that started it.

mod broker;
pub mod keeper;
mod server;

pub use broker::{Broker, BrokerError};
