//! The console as a pure machine: events in, pictures and effects out.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod causes;
mod estimate;
mod filters;
mod keys;
mod news;
mod properties;
mod screens;
mod screens_over;
mod stage;
