//! The listener through the front door: the real binary, a real broker, and clients that speak plain JSON.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;

#[allow(dead_code, reason = "the tests of nix use the rest")]
#[path = "../nix/server.rs"]
mod server;

mod access_tokens;
mod bad_programs;
mod bad_requests;
mod base;
mod cancel;
mod commits;
mod delivery;
mod discover;
mod flake_urls;
mod floods;
mod git;
mod heartbeat;
mod history;
mod history_file;
mod hold;
mod ids;
mod interrupted;
mod jobs;
mod log;
mod log_answers;
mod logging;
mod malformed;
mod manager;
mod many_jobs;
mod modes;
mod outlived;
mod phases;
mod presence;
mod said;
mod stage;
mod start;
mod subjects;
mod timeout;
mod trusted;
mod trusted_expiry;
mod trusted_raw;
mod trusted_replays;
mod trusted_start;
