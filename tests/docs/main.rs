//! The documentation is true: links lead somewhere, commands parse, the way from zero to the first deployment is gone as it is
//! written, and what is quoted of the program is what it says.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;

mod cli;
mod commands;
mod dependencies;
mod layers;
mod links;
mod make;
mod migration;
mod not_nixos;
mod page;
mod quotes;
mod stage;
mod start;
