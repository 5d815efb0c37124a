//! The listener through the front door: the real binary, a real broker, and clients that speak plain JSON.

#[path = "../common/mod.rs"]
mod common;

mod base;
