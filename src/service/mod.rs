//! What a listener and a builder have in common: one connection, warnings for operators, the status line, the metrics
//! server, and the delivery of final reports.
//!
//! See ARCHITECTURE.md, "The builder".

mod delivery;
mod refused_subjects;
mod runtime;

pub use delivery::{FinalReport, deliver, wait_acknowledged};
pub use runtime::{ServiceError, ServiceEvent, ServiceRuntime};
