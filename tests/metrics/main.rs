//! Metrics through their external interfaces: the real binary, a real NATS server, HTTP over TCP, and a real Prometheus
//! with `make test-metrics`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "the tests of the builder use the rest")]
#[path = "../builder/stage.rs"]
mod builder;
#[path = "../common/mod.rs"]
mod common;
#[allow(dead_code, reason = "the tests of the activation use the rest")]
#[path = "../activation/stage.rs"]
mod host;
#[allow(dead_code, reason = "the tests of the listener use the rest")]
#[path = "../listener/stage.rs"]
mod stage;

mod counting;
mod dashboard;
mod docs;
mod health;
mod idle_connections;
mod names;
mod page;
mod prometheus;
mod restarts;
mod serving;
