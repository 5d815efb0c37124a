//! A live line of a job's log.

use super::wire::{self, WireError};
use super::{Id, MAX_ENCODED, Name, fit_start};
use serde::{Deserialize, Serialize};

/// A piece of a job's log. `offset` plus the length of `text` is the offset of the next piece, so that live lines
/// and the log that was asked for join without gap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// The job.
    pub id: Id,
    /// The host.
    pub hostname: Name,
    /// Where the text begins in the log, in bytes.
    pub offset: u64,
    /// The text with its line end. A byte that is no UTF-8 stands as one `?`, so that offsets hold.
    pub text: String,
}

impl LogLine {
    /// Reads a line.
    pub fn parse(payload: &[u8]) -> Result<Self, WireError> {
        wire::from_bytes(payload)
    }

    /// The JSON of the line, under [`MAX_ENCODED`]: a text that is longer leaves a gap before the next line.
    pub fn encode(&self) -> Vec<u8> {
        let bytes = wire::to_bytes(self);
        if bytes.len() < MAX_ENCODED {
            return bytes;
        }
        let text = fit_start(&self.text, MAX_ENCODED - 1024).to_owned();
        wire::to_bytes(&Self {
            id: self.id.clone(),
            hostname: self.hostname.clone(),
            offset: self.offset,
            text,
        })
    }
}
