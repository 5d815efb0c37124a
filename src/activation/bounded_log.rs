//! The part of a job's log that a build or another program writes. Of a very long output, only the beginning and the
//! end are written.
//!
//! Bytes already in the file never move, so published offsets stay valid. The end of a long output is therefore held in
//! memory until the program ends, and is appended then.

use super::{JobLog, LogPiece};
use std::collections::VecDeque;
use std::io;
use std::time::Duration;
use tokio::time::Instant;

/// How often the log mentions that output is held back.
const REMINDER: Duration = Duration::from_mins(1);
/// The limit for important lines that are written while output is held back, in bytes.
const IMPORTANT_LIMIT: usize = 1 << 20;

/// Limits for the output of one program that is written to the log, in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct LogLimits {
    /// Bytes at the beginning of the output, written immediately.
    head: u64,
    /// Bytes at the end of the output, written when the program ends.
    tail: usize,
}

impl LogLimits {
    /// Limits for a build. They leave space for the later phases in a log of 32 MiB.
    pub(super) const BUILD: Self = Self { head: 16 << 20, tail: 8 << 20 };
    /// Limits for a program that checks or activates. A job runs a few of these.
    pub(super) const STEP: Self = Self { head: 2 << 20, tail: 1 << 20 };
}

/// Appends the output of a program to a log, within limits.
#[derive(Debug)]
pub(super) struct BoundedLog {
    log: JobLog,
    limits: LogLimits,
    /// How many more bytes are written immediately.
    head_left: u64,
    important_left: usize,
    line_ended: bool,
    /// The last lines of the output that is held back.
    tail: VecDeque<u8>,
    /// How many bytes of the held-back output were dropped; `None` while no output is held back.
    dropped: Option<u64>,
    reminded: Instant,
}

impl BoundedLog {
    pub(super) fn new(log: JobLog, limits: LogLimits) -> Self {
        Self {
            log,
            limits,
            head_left: limits.head,
            important_left: IMPORTANT_LIMIT,
            line_ended: true,
            tail: VecDeque::new(),
            dropped: None,
            reminded: Instant::now(),
        }
    }

    /// Writes a line with its line end, or a part of a line, and returns what was appended. An important line is never
    /// held back.
    pub(super) fn write(&mut self, line: &[u8], is_important: bool) -> io::Result<Option<LogPiece>> {
        if self.dropped.is_none() {
            if let Some(left) = self.head_left.checked_sub(line.len() as u64) {
                self.head_left = left;
                self.line_ended = line.ends_with(b"\n");
                return self.log.append(line);
            }
            if !self.line_ended {
                self.log.append(b"\n")?;
            }
            self.dropped = Some(0);
            self.reminded = Instant::now();
            let note = format!(
                "[homelab-deploy: the limit of {} MiB is reached; the last {} MiB of the remaining output follow when the \
                 program ends]",
                self.limits.head >> 20,
                self.limits.tail >> 20
            );
            self.log.line(&note)?;
        }
        if let Some(left) = self.important_left.checked_sub(line.len()).filter(|_| is_important) {
            self.important_left = left;
            return self.log.append(line);
        }
        self.hold_back(line);
        if self.reminded.elapsed() < REMINDER {
            return Ok(None);
        }
        self.reminded = Instant::now();
        let held_back = (self.dropped.unwrap_or_default() + self.tail.len() as u64) >> 20;
        self.log.line(&format!("[homelab-deploy: {held_back} MiB of output held back so far]")).map(Some)
    }

    fn hold_back(&mut self, line: &[u8]) {
        self.tail.extend(line);
        let excess = self.tail.len().saturating_sub(self.limits.tail);
        if excess > 0 {
            // Only whole lines are kept: a partial line is of little use, and may start within a character or a secret.
            let rest = self
                .tail
                .range(excess..)
                .position(|byte| *byte == b'\n')
                .map_or(excess, |end| excess + end + 1);
            self.tail.drain(..rest);
            self.dropped = self.dropped.map(|dropped| dropped + rest as u64);
        }
    }

    /// Appends the output that was held back, and returns its last piece.
    pub(super) fn finish(mut self) -> io::Result<Option<LogPiece>> {
        let dropped = self.dropped.unwrap_or_default();
        let mut piece = None;
        if dropped > 0 {
            let dropped = dropped.div_ceil(1 << 10);
            piece = Some(self.log.line(&format!("[homelab-deploy: {dropped} KiB of output omitted here]"))?);
        }
        let tail = Vec::from(std::mem::take(&mut self.tail));
        if let Some(last) = self.log.append(&tail)? {
            piece = Some(last);
        }
        Ok(piece)
    }
}
