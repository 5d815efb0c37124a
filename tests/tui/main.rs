//! The console as a pure machine: events in, pictures and effects out.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod causes;
mod deployment_looks;
mod deployments;
mod estimate;
mod filters;
mod keys;
mod news;
mod orders;
mod properties;
mod screens;
mod screens_over;
mod stage;
