//! The MCP server: an assistant's eyes on the fleet, and a deploy tool that reaches no further than its key.
//!
//! It speaks JSON-RPC over standard input and output and writes nothing else there. What went wrong on a host or in a
//! call is a result that the model can read; only what is no call at all is an error of the protocol.
#![expect(clippy::doc_markdown, reason = "doc comments of parameters and results are what a model reads")]

mod access;
mod answer;
mod arguments;
mod audit;
mod batches;
mod build;
mod codes;
mod confirm;
mod deploy;
mod error;
mod follow;
mod logs;
mod parameters;
mod progress;
mod questions;
mod server;
mod tools;
mod views;

pub use access::Access;
pub use server::Server;

use batches::{Streams, streams};
use rmcp::ServiceExt;
use rmcp::service::ServerInitializeError;
use rmcp::transport::io::stdio_pipes;

/// Why a session did not begin.
#[derive(Debug, thiserror::Error)]
#[error("no client spoke MCP on standard input: {0}; a client starts this command itself, see docs/mcp.md")]
pub struct NoSession(Box<ServerInitializeError>);

impl Server {
    /// Serves the client on standard input and output until it goes away.
    pub async fn run(self) -> Result<(), NoSession> {
        let (input, output) = stdio_pipes();
        let Streams { inner, written } = streams(input, output);
        match Box::pin(self.serve(inner)).await {
            Ok(session) => {
                drop(session.waiting().await);
                // The client may have gone.
                let _ = written.await;
            }
            // Who goes away before a word was said wanted nothing.
            Err(ServerInitializeError::ConnectionClosed(_)) => {}
            Err(error) => return Err(NoSession(Box::new(error))),
        }
        tracing::debug!("the client has gone");
        Ok(())
    }
}
