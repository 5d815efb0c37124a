//! The console as an operator uses it: the real binary in a pseudo-terminal, a real NATS server and real listeners.
//! Each wait is for something on the screen or on the wire.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;

mod ansi;
mod attention;
mod background;
mod batches;
mod builds;
mod cancel;
mod commits;
mod contexts;
mod deployments;
mod exit;
mod full_log;
mod harness;
mod hold;
mod host;
mod hostile;
mod input;
mod log;
mod malformed;
mod other_operator;
mod permission;
mod reconnect;
mod rendering;
mod rollouts;
mod screens;
mod shell;
mod silent_server;
mod sizes;
mod snapshot;
mod suspend;
mod walkthrough;
