//! The part of a job's log that a build writes: of a flood of output its beginning and its end are kept.
//!
//! What is in the file stays where it is, so offsets that were told hold. The end of a flood is therefore kept in memory
//! until nothing more comes, and only then appended.

use super::{JobLog, LogPiece};
use std::collections::VecDeque;
use std::io;

/// How long a log may be before the rest of a build's output is kept back, in bytes.
const HEAD: u64 = 16 << 20;
/// How much of what is kept back is appended in the end. Head and tail leave room for what activates, in a log of 32 MiB.
const TAIL: usize = 8 << 20;

/// Appends the output of a build to a log.
#[derive(Debug)]
pub(super) struct BoundedLog {
    log: JobLog,
    /// The last lines of what is kept back.
    tail: VecDeque<u8>,
    /// How much has been dropped of what is kept back, in bytes; `None` while nothing is kept back.
    dropped: Option<u64>,
}

impl BoundedLog {
    pub(super) fn new(log: JobLog) -> Self {
        Self { log, tail: VecDeque::new(), dropped: None }
    }

    /// Takes a line, and gives what was appended.
    pub(super) fn line(&mut self, line: &str) -> io::Result<Option<LogPiece>> {
        if self.dropped.is_none() {
            if self.log.length() + line.len() as u64 <= HEAD {
                return self.log.line(line).map(Some);
            }
            self.dropped = Some(0);
            self.keep_back(line);
            let note = format!(
                "[homelab-deploy: this log has reached {} MiB; of what the build still says, the last {} MiB follow when it ends]",
                HEAD >> 20,
                TAIL >> 20
            );
            return self.log.line(&note).map(Some);
        }
        self.keep_back(line);
        Ok(None)
    }

    fn keep_back(&mut self, line: &str) {
        self.tail.extend(line.bytes().chain([b'\n']));
        let excess = self.tail.len().saturating_sub(TAIL);
        if excess > 0 {
            // Whole lines: what is left of a line says little, and may be a part of a character or of a secret.
            let rest = self
                .tail
                .range(excess..)
                .position(|byte| *byte == b'\n')
                .map_or(excess, |end| excess + end + 1);
            self.tail.drain(..rest);
            self.dropped = self.dropped.map(|dropped| dropped + rest as u64);
        }
    }

    /// Appends what was kept back, and gives the last piece of it: the log has what lies before.
    pub(super) fn end(mut self) -> io::Result<Option<LogPiece>> {
        let dropped = self.dropped.unwrap_or_default();
        let mut piece = None;
        if dropped > 0 {
            let dropped = dropped.div_ceil(1 << 10);
            piece =
                Some(self.log.line(&format!(
                    "[homelab-deploy: {dropped} KiB of the build's output are left out here]"
                ))?);
        }
        let tail = Vec::from(std::mem::take(&mut self.tail));
        if let Some(last) = self.log.append(&tail)? {
            piece = Some(last);
        }
        Ok(piece)
    }
}
