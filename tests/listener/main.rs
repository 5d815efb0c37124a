//! The listener through its external interfaces: the real binary, a real NATS server, and clients that send plain JSON.
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
mod detached_program;
mod discover;
mod dropped;
mod flake_urls;
mod floods;
mod git;
mod heartbeat;
mod history;
mod history_file;
mod hold;
mod ids;
mod interrupted;
mod job_cache;
mod jobs;
mod last_change;
mod log;
mod log_replies;
mod logging;
mod malformed;
mod modes;
mod phases;
mod presence;
mod stage;
mod start;
mod status_line;
mod subjects;
mod timeout;
mod trusted;
mod trusted_expiry;
mod trusted_raw;
mod trusted_replays;
mod trusted_start;
mod usage_errors;
