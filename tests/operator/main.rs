//! The operator's side through the front door: the real binary, a real broker, real listeners, and hand-written peers
//! where a host must misbehave.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;

mod cancel;
mod exits;
mod questions;
mod targets;
mod usage;
