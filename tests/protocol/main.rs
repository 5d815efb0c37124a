//! The wire format, through the public interface of the library: what peers of all versions send and accept, what is
//! rejected, and the properties of all messages.
#![expect(clippy::unwrap_used, reason = "a helper that cannot set a test up should stop it")]

mod base;
mod compatibility;
mod corpus;
mod feed;
mod fuzz;
mod inbound;
mod interned;
mod invalid_requests;
mod phases;
mod properties;
mod revisions;
mod rollouts;
mod samples;
mod signature;
mod sizes;
mod strategies;
mod subject_templates;
mod subjects;
mod text;
