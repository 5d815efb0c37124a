//! The demo: it works, and nothing of it outlives its owner, however that one ends.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;

mod broker;
mod command;
mod day;
mod fleet;
mod frames;
mod past;
mod refusals;
mod schemas;
mod show;
mod stage;
mod story;
mod terminal;
mod tour;
mod traces;
