//! The NATS connection: credentials, typed publish and subscribe, scatter–gather, and the connection state.
//!
//! This module transports messages and does not interpret them. [`Client::connect`] is for commands: it fails
//! immediately if no server can be reached. [`Client::connect_persistent`] is for services and the console: it retries
//! forever.
//!
//! See ARCHITECTURE.md, "Messages and keys".

mod auth;
mod backlog;
mod backoff;
mod client;
mod connect;
mod connection_state;
mod error;
mod nkey;
mod ping;
mod request_many;
mod settings;
mod subscription;
mod supervisor;
mod tls;

pub use client::Client;
pub use connection_state::{ConnectionState, PermissionViolation};
pub use error::{ConnectError, NatsError};
pub use nkey::{Nkey, NkeyError};
pub use request_many::{GatherStatus, GatherTimeout, ScatterRequest};
pub use settings::{ConnectionSettings, ConnectionSettingsError, TlsFiles, display_servers};
pub use subscription::{Capacity, Received, Subscription};
pub use supervisor::{hide_connection_panics, is_connection_panic};
