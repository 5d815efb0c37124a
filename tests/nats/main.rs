//! NATS servers as people set them up: with TLS, as a cluster, and with a leaf node; and the page that tells how.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;

mod certificates;
mod cluster;
mod failover;
mod leaf;
mod monitor;
mod page;
mod settings;
mod tls;
mod tls_faults;
