//! Changing a host: the engine that does a job's work, and what it tells while it works.

mod engine;
mod facts;
mod job_log;
mod launch;
mod log_part;
mod phase_line;
mod rebuild;

pub use engine::{Engine, Failure, Order, Outcome, Step, Steps, Work};
pub use facts::Facts;
pub use job_log::{JobLog, JobLogTail, LogPiece, last_lines};
pub use launch::{LaunchError, run as launch};
pub use log_part::LogPart;
pub use phase_line::PhaseLine;
pub use rebuild::RebuildEngine;
