//! The console as a person has it: the real binary in a pseudo-terminal, a real broker, real listeners. Every wait is for
//! something on the screen or on the wire.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;

mod attention;
mod background;
mod builds;
mod cancel;
mod contexts;
mod deployments;
mod elsewhere;
mod hold;
mod host;
mod hostile;
mod input;
mod leaving;
mod log;
mod looks;
mod losses;
mod malformed;
mod permission;
mod raw;
mod shell;
mod sizes;
mod snapshot;
mod stage;
mod suspending;
mod walk;
mod waves;
mod whole_log;
