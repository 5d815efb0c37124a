//! Live log lines of a job.

use super::codec::{self, WireError};
use super::{Id, MAX_ENCODED, Name};
use crate::text::fitting_prefix;
use serde::{Deserialize, Serialize};

/// A chunk of a job's log. `offset` plus the length of `text` is the offset of the next chunk, so that live lines and
/// the queried log can be joined without gaps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// The id of the job.
    pub id: Id,
    /// The host that runs the job.
    pub hostname: Name,
    /// The position of `text` in the log, in bytes.
    pub offset: u64,
    /// The text, including its line end. Each byte of invalid UTF-8 is replaced with `?`, so that offsets stay correct.
    pub text: String,
}

impl LogLine {
    /// Parses a log line.
    pub fn parse(payload: &[u8]) -> Result<Self, WireError> {
        codec::from_bytes(payload)
    }

    /// Encodes the line as JSON, in less than [`MAX_ENCODED`] bytes: a longer text is truncated, which leaves a gap
    /// before the next line.
    pub fn encode(&self) -> Vec<u8> {
        codec::to_bounded_bytes(self, || Self {
            id: self.id.clone(),
            hostname: self.hostname.clone(),
            offset: self.offset,
            text: fitting_prefix(&self.text, MAX_ENCODED - 1024).to_owned(),
        })
    }
}
