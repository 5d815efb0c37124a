//! The part of a job's log that a build or another program writes: of a flood of output its beginning and its end are kept.
//!
//! What is in the file stays where it is, so offsets that were published hold. The end of a flood is therefore kept in
//! memory until nothing more comes, and only then appended.

use super::{JobLog, LogPiece};
use std::collections::VecDeque;
use std::io;
use std::time::Duration;
use tokio::time::Instant;

/// How often the log says that output is kept back.
const REMINDER: Duration = Duration::from_mins(1);
/// How many lines that matter are written while output is kept back, in bytes.
const MATTERING: usize = 1 << 20;

/// How much of a program's output is kept, in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct LogRoom {
    /// What is written at once.
    head: u64,
    /// The end of the rest, which is appended when the program ends.
    tail: usize,
}

impl LogRoom {
    /// Of a build. It leaves room for what comes after, in a log of 32 MiB.
    pub(super) const BUILD: Self = Self { head: 16 << 20, tail: 8 << 20 };
    /// Of a program that checks or activates. A job has a few of them.
    pub(super) const STEP: Self = Self { head: 2 << 20, tail: 1 << 20 };
}

/// Appends the output of a program to a log.
#[derive(Debug)]
pub(super) struct BoundedLog {
    log: JobLog,
    room: LogRoom,
    /// How much may still be written at once.
    head_left: u64,
    mattering_left: usize,
    line_ended: bool,
    /// The last lines of what is kept back.
    tail: VecDeque<u8>,
    /// How much has been dropped of what is kept back, in bytes; `None` while nothing is kept back.
    dropped: Option<u64>,
    reminded: Instant,
}

impl BoundedLog {
    pub(super) fn new(log: JobLog, room: LogRoom) -> Self {
        Self {
            log,
            room,
            head_left: room.head,
            mattering_left: MATTERING,
            line_ended: true,
            tail: VecDeque::new(),
            dropped: None,
            reminded: Instant::now(),
        }
    }

    /// Takes a line with its end, or a part of a line, and gives what was appended. One that `matters` is not kept back.
    pub(super) fn take(&mut self, line: &[u8], matters: bool) -> io::Result<Option<LogPiece>> {
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
                "[homelab-deploy: this program has written {} MiB; of what it still writes, the last {} MiB follow when \
                 it ends]",
                self.room.head >> 20,
                self.room.tail >> 20
            );
            self.log.line(&note)?;
        }
        if let Some(left) = self.mattering_left.checked_sub(line.len()).filter(|_| matters) {
            self.mattering_left = left;
            return self.log.append(line);
        }
        self.keep_back(line);
        if self.reminded.elapsed() < REMINDER {
            return Ok(None);
        }
        self.reminded = Instant::now();
        let kept_back = (self.dropped.unwrap_or_default() + self.tail.len() as u64) >> 20;
        self.log.line(&format!("[homelab-deploy: {kept_back} MiB are kept back by now]")).map(Some)
    }

    fn keep_back(&mut self, line: &[u8]) {
        self.tail.extend(line);
        let excess = self.tail.len().saturating_sub(self.room.tail);
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
            piece = Some(
                self.log.line(&format!("[homelab-deploy: {dropped} KiB of its output are left out here]"))?,
            );
        }
        let tail = Vec::from(std::mem::take(&mut self.tail));
        if let Some(last) = self.log.append(&tail)? {
            piece = Some(last);
        }
        Ok(piece)
    }
}
