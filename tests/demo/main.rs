//! The demo works, and nothing of it remains after its end, however it ends.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;

mod background;
mod command;
mod compose;
mod errors;
mod fast_demo;
mod first_screen;
mod fleet;
mod frames;
mod large;
mod leftovers;
mod nats_server;
mod newcomer;
mod schemas;
mod seed_history;
mod session;
mod terminal;
mod tour;
