//! The MCP server: lets an assistant inspect the fleet, and deploy within the limits of its key.
//!
//! It speaks JSON-RPC over standard input and output. Failures of hosts and calls are results that the model can read;
//! only malformed calls are protocol errors.
//!
//! See ARCHITECTURE.md, "The MCP server".
#![expect(clippy::doc_markdown, reason = "doc comments of parameters and results are what a model reads")]

mod audit;
mod batches;
mod build;
mod client;
mod confirm;
mod confirmation_codes;
mod deploy;
mod job_views;
mod logs;
mod parameters;
mod progress;
mod query_tools;
mod result;
mod server;
mod tools;
mod views;

pub use client::FleetClient;
pub use server::{NoSession, Server};
