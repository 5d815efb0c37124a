//! NATS servers in typical setups: with TLS, as a cluster, and with a leaf node; the page that documents them; and a
//! malicious server.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;

mod auth;
mod certificates;
mod cluster;
mod credentials;
mod docs;
mod failover;
mod leaf;
mod monitor;
mod settings;
mod tls;
mod tls_errors;
mod urls;
