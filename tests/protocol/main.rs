//! The wire, through the library's public interface: what peers of any age send and take, what is refused,
//! and what holds for every message.
#![expect(clippy::unwrap_used, reason = "a helper that cannot set a test up should stop it")]

mod base;
mod classify;
mod corpus;
mod feed;
mod generated;
mod phases;
mod properties;
mod refusals;
mod revisions;
mod samples;
mod shared;
mod signature;
mod sizes;
mod strategies;
mod subjects;
mod templates;
mod text;
mod tolerance;
