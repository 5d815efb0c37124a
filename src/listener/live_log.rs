//! Limits how many pieces of a growing log are published, so that a fleet with much output does not overload its server.
//!
//! Each piece contains its offset, so a reader notices a gap at the next piece and queries the log on disk for it.

use crate::activation::LogPiece;
use std::time::Duration;
use tokio::time::Instant;

/// Number of pieces that may be sent at once.
const BURST: u32 = 500;
/// Pause after which one more piece may be sent.
const PAUSE: Duration = Duration::from_millis(10);

/// The rate limit of one log.
#[derive(Debug)]
pub(super) struct LiveLog {
    /// When all sent pieces would have been sent with pauses between them.
    paced_until: Instant,
    /// The last skipped piece, if none was sent after it.
    skipped: Option<LogPiece>,
    /// Number of skipped pieces.
    skipped_count: u64,
}

impl LiveLog {
    pub(super) fn new() -> Self {
        Self { paced_until: Instant::now(), skipped: None, skipped_count: 0 }
    }

    /// Returns the piece if it may be sent now, otherwise keeps it as skipped.
    pub(super) fn take(&mut self, piece: LogPiece) -> Option<LogPiece> {
        if self.next_slot() <= Instant::now() {
            self.count();
            self.skipped = None;
            return Some(piece);
        }
        self.skipped_count += 1;
        self.skipped = Some(piece);
        None
    }

    /// When the last skipped piece may be sent, so that readers see a gap without waiting for the next piece.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.skipped.as_ref().map(|_| self.next_slot())
    }

    /// Takes the last skipped piece.
    pub(super) fn take_skipped(&mut self) -> Option<LogPiece> {
        let skipped = self.skipped.take()?;
        self.skipped_count -= 1;
        self.count();
        Some(skipped)
    }

    /// Number of pieces skipped so far.
    pub(super) fn skipped_count(&self) -> u64 {
        self.skipped_count
    }

    fn next_slot(&self) -> Instant {
        self.paced_until.checked_sub(PAUSE * BURST).unwrap_or(self.paced_until)
    }

    fn count(&mut self) {
        self.paced_until = self.paced_until.max(Instant::now()) + PAUSE;
    }
}
