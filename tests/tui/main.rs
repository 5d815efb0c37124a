//! The console as a pure machine: events in, pictures and effects out.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod behind;
mod builds;
mod causes;
mod command_line;
mod deployment_looks;
mod deployment_ways;
mod deployments;
mod estimate;
mod filters;
mod fitting;
mod forms;
mod host_screen;
mod host_shell;
mod keys;
mod log_screen;
mod log_search;
mod looks;
mod news;
mod orders;
mod properties;
mod screens;
mod screens_over;
mod stage;
mod waves;
