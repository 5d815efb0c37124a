//! The documentation is correct: links resolve, commands parse, the quick start works as written, examples are valid, and quotes
//! match the output of the program.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;

mod cli;
mod commands;
mod compose;
mod console_settings;
mod dependencies;
mod harness;
mod layers;
mod links;
mod make;
mod migration;
mod names;
mod not_nixos;
mod page;
mod protocol_page;
mod quick_start;
mod quotes;
