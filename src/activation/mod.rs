//! Changes a host: the engines that carry out jobs, and the events that they send.
//!
//! See ARCHITECTURE.md, "The worker".

mod bounded_log;
mod child_output;
mod compose;
mod diagnostics;
mod engine;
mod external_command;
mod facts;
mod follow;
mod host;
mod job_log;
mod log_chunk;
mod pipeline;
mod progress_marker;
mod resolve;
mod spawn;
mod supervise;
mod supervised_command;
mod systemd;
mod transient_unit;
pub mod worker;

pub use compose::ComposeEngine;
pub use diagnostics::{collect_diagnostics, diagnostics_after_log, format_diagnostics, save_diagnostics};
pub use engine::{
    Engine, FailedUnitsFuture, JobEvent, JobEvents, JobFailure, JobFuture, JobResult, JobSpec, Probe, SaveAck,
};
pub use external_command::{DEFAULT_SILENCE_LIMIT, ExternalCommandEngine};
pub use facts::{Facts, free_bytes};
pub use host::HostPaths;
pub use job_log::{JobLog, JobLogTail, LogPiece, last_lines};
pub use log_chunk::LogChunk;
pub use pipeline::{Pipeline, Policy};
pub use progress_marker::ProgressMarker;
pub use spawn::WorkerSpawner;
pub use supervise::{ProgramKind, SpawnError, exec_in_session, supervise};
pub use systemd::{ServiceState, Systemd, own_unit};
pub use transient_unit::{TransientUnit, TransientUnitError};
