//! The demo's private server: that it serves, and that nothing of it outlives its owner, however that one ends.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod bodies;
mod endings;
mod refusals;
mod traces;
