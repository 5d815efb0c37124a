//! NATS servers as people set them up: with TLS, as a cluster, and with a leaf node; the page that tells how; and a server
//! that is not one.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;

mod certificates;
mod cluster;
mod credentials;
mod failover;
mod leaf;
mod monitor;
mod page;
mod settings;
mod sign_in;
mod tls;
mod tls_faults;
mod urls;
