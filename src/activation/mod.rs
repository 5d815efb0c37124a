//! Changing a host: the engine that does a job's work, and what it tells while it works.

mod bounded_log;
mod child_output;
mod diagnostics;
mod engine;
mod facts;
mod follow;
mod host;
mod job_log;
mod launch;
mod log_part;
mod owner;
mod phase_line;
mod pipeline;
pub mod program;
mod rebuild;
mod resolve;
mod service_manager;
mod supervised;
mod transient_unit;

pub use diagnostics::{beside_log, diagnostics, keep_diagnostics, with_log};
pub use engine::{Engine, Failure, HandedOver, Order, Outcome, Probe, Step, Steps, Units, Work};
pub use facts::Facts;
pub use host::HostPaths;
pub use job_log::{JobLog, JobLogTail, LogPiece, last_lines};
pub use launch::{LaunchError, ProgramKind, run as launch, supervise};
pub use log_part::LogPart;
pub use owner::Owner;
pub use phase_line::PhaseLine;
pub use pipeline::{Pipeline, Policy};
pub use rebuild::{RebuildEngine, SILENT};
pub use service_manager::{ServiceManager, ServiceState, own_unit};
pub use transient_unit::{TransientUnit, TransientUnitError};
